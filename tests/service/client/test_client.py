"""What both clients do with a real server."""

import json
import threading

import pytest

from service.client import (
    Conflict,
    InvalidRequest,
    Job,
    JobCancelled,
    JobFailed,
    NotFound,
    Unauthorized,
)
from service.client.operations import jobs as operations
from service.jobs.reports import REPORT_EXAMPLE
from service.store.status import JobStatus

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SETTINGS = {"optim": {"max_steps": 7}}


def test_a_job_is_submitted_found_changed_cancelled_and_deleted(client, folder):
    job = client.train("photos", preset="tiny", name="mine", priority="low", **SETTINGS)
    assert (job.kind, job.status, job.name, job.priority) == ("train", "queued", "mine", "low")
    assert job.config["optim"]["max_steps"] == 7
    assert client.update(job, name="yours", pinned=True).pinned
    assert client.job(job.id).name == "yours"
    assert client.job(job).waiting.position == 1
    assert client.cancel(job).status == "cancelled"
    with pytest.raises(Conflict) as caught:
        client.cancel(job)
    assert caught.value.code == "illegal_transition"
    assert client.resume(job).status == "queued"
    client.cancel(job)
    client.delete(job)
    with pytest.raises(NotFound, match=job.id):
        client.job(job)


def test_every_kind_of_job_takes_names_paths_and_objects(client, folder, labelled, worker):
    worker.claim().end()
    [dataset, *_] = [one for one in client.datasets() if one.name == "photos"]
    trained = client.train(dataset, "test_vit@random", evaluate="labelled", visibility="private")
    assert trained.config["encoder"] == {"architecture": "test_vit", "weights": "random"}
    assert trained.config["evaluate"]["dataset"] == str(labelled)
    assert trained.visibility == "private"
    base = client.encoder("test_vit")
    compared = client.evaluate(
        [base, "test_vit@random"], labelled, protocols=["knn"], size=64, seeds=[1]
    )
    assert compared.config["seeds"] == [1] and compared.config["size"] == 64
    embedded = client.embed_dataset(folder, "test_vit@random", size=(32, 48), layers=[-1])
    assert embedded.config["options"]["size"] == [32, 48]
    needs = client.dry_run("photos", preset="tiny", optim={"max_steps": 3})
    assert needs.total_steps == 3 and needs.basis == "model"
    with pytest.raises(TypeError, match="dry_run"):
        client.train("photos", dry_run=True)


def test_lists_go_through_all_pages_and_stop_where_asked(client, folder, monkeypatch):
    monkeypatch.setattr("service.client.pages.PAGE", 2)
    made = [client.train("photos", preset="tiny").id for _ in range(3)]
    assert [job.id for job in client.jobs()] == made[::-1]
    assert [job.id for job in client.jobs(limit=2)] == made[:0:-1]
    assert list(client.jobs(status="failed")) == []
    assert "test_vit" in {one.id for one in client.encoders(kind="base", search="test")}
    assert client.me().name == "local"


def test_a_refusal_names_each_bad_field(client, folder):
    with pytest.raises(InvalidRequest) as caught:
        client.train("photos", optim={"max_steps": 0, "lr_headd": 1}, priority="urgent")
    error = caught.value
    assert (error.status, error.code) == (422, "invalid_request")
    assert error.fields.keys() == {"optim.max_steps", "optim.lr_headd", "priority"}
    assert str(error).splitlines()[0] == "the service refused the request (422 invalid_request)"
    assert any(line.split()[0] == "optim.lr_headd" for line in str(error).splitlines()[1:])


def test_waiting_follows_a_job_to_its_end(client, job, worker, capfd):
    def work():
        worker.claim().log(1, 2)
        worker.log(3)
        worker.end()

    started = threading.Timer(0.3, work)
    started.start()
    ended = client.wait(job["id"], progress=True)
    started.join()
    assert ended.status == "succeeded" and ended.has_ended
    shown = capfd.readouterr().err
    assert "3/60" in shown and "loss 0.3333" in shown and "0:00:57 left" in shown


def test_waiting_shows_nothing_where_nobody_looks(client, job, worker, capfd):
    worker.claim().log(1)
    worker.end()
    client.wait(job["id"])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("polling", [False, True], ids=["streaming", "polling"])
def test_waiting_for_a_job_that_fails_says_why(make_client, api, job, worker, polling, monkeypatch):
    if polling:
        monkeypatch.setattr("service.jobs.events.MAX_STREAMS", 0)  # no stream is to be had
        monkeypatch.setattr(operations, "POLL_SECONDS", 0.01)
        for module in ("client", "async_client"):
            monkeypatch.setattr(f"service.client.{module}.SILENCE_SECONDS", 0.1)
    worker.claim().log(1)
    worker.end(JobStatus.FAILED, {"code": "out_of_memory", "message": "lower the batch size"})
    with pytest.raises(JobFailed, match="lower the batch size") as caught:
        make_client(str(api.base_url), retries=0).wait(Job.model_validate(job))
    assert caught.value.code == "out_of_memory"
    assert caught.value.job.id == job["id"]


def test_waiting_for_a_job_that_is_cancelled_says_so(client, job):
    client.cancel(job["id"])
    with pytest.raises(JobCancelled, match="resume"):
        client.wait(job["id"])


def test_events_come_once_each_over_broken_connections(make_client, api, job, worker, breaking):
    worker.claim().log(1, 2)
    worker.end()
    transport = breaking(lost=1)
    events = list(make_client(str(api.base_url), transport=transport).events(job["id"]))
    assert [event.type for event in events] == ["status", "status", "metrics", "metrics", "status"]
    assert [event.id for event in events] == sorted({event.id for event in events})
    after = list(make_client(str(api.base_url)).events(job["id"], after=events[2].id))
    assert after == events[3:]
    asked = [request.headers["last-event-id"] for request in transport.sent]
    assert asked == ["0", "0", str(events[-1].id)]


def test_metrics_are_a_frame_by_step_of_all_pages(client, job, worker):
    worker.claim().log(*range(1, 1003))
    frame = client.metrics(job["id"])
    assert list(frame.index) == list(range(1, 1003)) and frame.index.name == "step"
    assert frame.loss[4] == 0.25
    assert len(client.metric_rows(job["id"])) == 1002


def test_a_log_is_read_as_a_whole_its_end_or_as_it_grows(
    client, job, worker, settings, monkeypatch
):
    monkeypatch.setattr(operations, "LOG_SECONDS", 0.05)
    assert client.log(job["id"]) == ""
    log = settings.job_folder(job["id"]) / "train.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("ä first\nsecond\nthi")
    worker.claim()

    def work():
        with log.open("a") as file:
            file.write("rd\n")
        worker.end()

    timer = threading.Timer(0.3, work)
    timer.start()
    pieces = list(client.follow_log(job["id"]))
    timer.join()
    assert pieces[0] == "ä first\nsecond\n" and "".join(pieces) == log.read_text()
    assert client.log(job["id"], tail=1) == "third\n"


def test_a_submitted_job_is_one_job_although_its_first_answer_is_lost(
    make_client, api, folder, breaking
):
    transport = breaking(lost=2)
    client = make_client(str(api.base_url), transport=transport)
    job = client.train("photos", preset="tiny")
    assert [one["id"] for one in api.get("/jobs").json()["data"]] == [job.id]
    keys = [request.headers["idempotency-key"] for request in transport.sent]
    assert len(keys) == 3 and len(set(keys)) == 1


def test_what_must_not_happen_twice_is_sent_once(make_client, api, job, breaking):
    transport = breaking(lost=1)
    client = make_client(str(api.base_url), transport=transport)
    with pytest.raises(Exception, match="the connection was reset"):
        client.cancel(job["id"])
    assert len(transport.sent) == 1
    assert client.job(job["id"]).status == "cancelled"


def test_a_key_is_sent_and_a_wrong_one_refused(make_client, locked, serving, people):
    from service.app import create_app

    with serving(create_app(locked)) as api:
        url = str(api.base_url)
        assert make_client(url, key=people["owner"]).me().name == "owner"
        with pytest.raises(Unauthorized):
            make_client(url, key="paka_wrong").me()


def test_features_and_report_of_jobs_are_fetched(client, job, worker, settings, tmp_path):
    folder = settings.job_folder(job["id"]) / "features"
    folder.mkdir(parents=True)
    (folder / "features-00000.safetensors").write_bytes(b"tensors")
    index = '{"images": 1, "shards": [{"file": "features-00000.safetensors", "images": ["a"]}]}'
    (folder / "index.json").write_text(index)
    paths = client.download_features(job["id"], tmp_path / "out")
    assert [path.name for path in paths] == ["features-00000.safetensors", "index.json"]
    assert paths[0].read_bytes() == b"tensors"
    with pytest.raises(NotFound) as caught:
        client.report(job["id"])
    assert caught.value.code == "report_not_found"
    worker.claim().add_checkpoint(4, {"encoder.safetensors": {"sha256": "0" * 64, "bytes": 7}})
    [checkpoint] = client.checkpoints(job["id"])
    assert checkpoint.files["encoder.safetensors"].bytes == 7


def test_a_report_is_typed_and_a_frame(client, labelled, settings):
    job = client.evaluate(["test_vit"], "labelled", size=64)
    folder = settings.job_folder(job.id)
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(REPORT_EXAMPLE))
    report = client.report(job)
    assert report.classes == ["sky", "building", "road"]
    [row] = report.frame().reset_index().to_dict("records")
    assert (row["protocol"], row["value"], row["difference_low"]) == ("in_context", 0.41, 0.01)


def test_the_cluster_and_readiness(client, all_workers):
    assert {worker.kind for worker in client.cluster().workers} == {"embed", "jobs"}
    assert client.ready().status == "ready"


def test_uploads_of_folders_and_archives(client, folder, photos, tmp_path):
    source = tmp_path / "holiday pictures"
    (source / "day one").mkdir(parents=True)
    for number, photo in enumerate(sorted(photos.iterdir())[:2]):
        (source / "day one" / f"{number}.jpg").write_bytes(photo.read_bytes())
    (source / "day one" / "link.jpg").symlink_to(sorted(photos.iterdir())[2])
    (source / "broken.jpg").write_bytes(b"no image")
    (source / ".hidden.jpg").write_bytes(b"no image")
    made = client.upload(source, "holiday", visibility="private")
    assert (made.name, made.images, made.visibility) == ("holiday", 3, "private")
    assert [file.file for file in made.unreadable] == ["broken.jpg"]
    with pytest.raises(Conflict, match="holiday"):
        client.upload(source, "holiday")
    assert client.dataset("holiday").images == 3
    client.delete_dataset("holiday")
    with pytest.raises(NotFound):
        client.dataset("holiday")


def test_a_missing_folder_is_not_uploaded(client, tmp_path):
    with pytest.raises(Exception, match="is not there"):
        client.upload(tmp_path / "nowhere")
