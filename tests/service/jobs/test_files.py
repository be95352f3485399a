import hashlib
import json
import threading

import pytest

from service.jobs import events as stream
from service.store import jobs as store
from service.store.status import JobStatus

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def read_events(api, job_id, last=None):
    """All events until the stream ends."""
    headers = {"Last-Event-ID": str(last)} if last is not None else {}
    found, current = [], {}
    with api.stream("GET", f"/jobs/{job_id}/events", headers=headers) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        for line in response.iter_lines():
            if line.startswith(":"):
                found.append({"comment": line})
            elif line:
                key, _, value = line.partition(": ")
                current[key] = json.loads(value) if key == "data" else value
            else:
                found.append(current)
                current = {}
    return [event for event in found if event]


def test_events_are_followed_live_until_the_job_ends(api, job, worker):
    def work():
        worker.claim().log(1, 2)
        worker.log(3)
        worker.end()

    started = threading.Timer(0.5, work)
    started.start()
    events = read_events(api, job["id"])
    started.join()
    assert [(event["event"], event["data"]["message"]) for event in events] == [
        ("status", "queued"),
        ("status", "running"),
        ("metrics", ""),
        ("metrics", ""),
        ("metrics", ""),
        ("status", "succeeded"),
    ]
    assert [event["data"]["step"] for event in events if event["event"] == "metrics"] == [1, 2, 3]
    assert all(event["id"] == str(event["data"]["id"]) for event in events)


def test_a_stream_resumes_after_the_last_event_seen(api, job, worker):
    worker.claim().log(1, 2, 3)
    worker.end()
    events = read_events(api, job["id"])
    for seen, event in enumerate(events[:-1], 1):
        assert read_events(api, job["id"], event["id"]) == events[seen:]
    done = api.get(f"/jobs/{job['id']}/events", headers={"Last-Event-ID": events[-1]["id"]})
    assert done.status_code == 204


@sqlite_only
def test_a_long_history_comes_complete_and_in_order(api, job, worker, monkeypatch):
    monkeypatch.setattr(stream, "_PAGE", 7)
    worker.claim().log(*range(1, 41))
    worker.end()
    steps = [event["data"]["step"] for event in read_events(api, job["id"])]
    assert [step for step in steps if step] == list(range(1, 41))


@sqlite_only
def test_a_silent_job_keeps_the_stream_alive(api, job, database, monkeypatch):
    import fastapi.routing

    monkeypatch.setattr(fastapi.routing, "_PING_INTERVAL", 0.1)

    def cancel():
        with database.write() as session:
            store.cancel(session, job["id"])

    started = threading.Timer(0.5, cancel)
    started.start()
    events = read_events(api, job["id"])
    started.join()
    assert {"comment": ": ping"} in events


@sqlite_only
def test_a_stream_ends_when_its_job_is_deleted(api, job, worker, database, monkeypatch):
    def delete():
        with database.write() as session:
            store.cancel(session, job["id"])
            store.delete(session, job["id"])

    started = threading.Timer(0.5, delete)
    started.start()
    events = read_events(api, job["id"])
    started.join()
    assert [event["data"]["message"] for event in events] == ["queued"]


@sqlite_only
@pytest.mark.parametrize("last", ["x", "-1", str(2**31)])
def test_a_bad_last_event_id_is_refused(api, job, assert_problem, last):
    response = api.get(f"/jobs/{job['id']}/events", headers={"Last-Event-ID": last})
    assert_problem(response, 422, "invalid_request", "last-event-id")


@sqlite_only
def test_a_log_is_empty_before_the_job_starts(api, job):
    response = api.get(f"/jobs/{job['id']}/log")
    assert (response.status_code, response.text) == (200, "")
    assert response.headers["content-type"].startswith("text/plain")


@sqlite_only
def test_a_log_comes_whole_by_its_last_lines_or_from_an_offset(api, job, settings):
    folder = settings.job_folder(job["id"])
    folder.mkdir(parents=True)
    lines = [f"line {number} {'é' * 50}\n" for number in range(3000)]
    (folder / "train.log").write_text("".join(lines))
    url = f"/jobs/{job['id']}/log"
    assert api.get(url).text == "".join(lines)
    for count in (1, 2, 1500, 3000, 5000):
        assert api.get(url, params={"tail": count}).text == "".join(lines[-count:])
    size = len("".join(lines).encode())
    assert api.get(url, params={"offset": size - 10}).content == lines[-1].encode()[-10:]
    for beyond in (size + 10, 2**63 - 1, 10**100):
        assert api.get(url, params={"offset": beyond}).content == b""
    for params in ({}, {"tail": 3}, {"offset": 7}, {"offset": size + 5}):
        assert api.get(url, params=params).headers["log-end"] == str(size)


@sqlite_only
@pytest.mark.parametrize("text", ["", "\n", "one", "one\ntwo", "one\n\n"])
def test_a_short_log_has_the_lines_that_it_has(api, job, settings, text):
    folder = settings.job_folder(job["id"])
    folder.mkdir(parents=True)
    (folder / "train.log").write_text(text)
    expected = text.splitlines(keepends=True)[-1] if text else ""
    assert api.get(f"/jobs/{job['id']}/log", params={"tail": 1}).text == expected


def test_checkpoints_are_listed_and_downloaded(api, job, worker, settings, assert_problem):
    content = b"weights of step 20"
    sha256 = hashlib.sha256(content).hexdigest()
    worker.claim()
    worker.add_checkpoint(20, {"encoder.safetensors": {"sha256": sha256, "bytes": len(content)}})
    (listed,) = api.get(f"/jobs/{job['id']}/checkpoints").json()["data"]
    assert listed["step"] == 20
    assert listed["files"]["encoder.safetensors"]["sha256"] == sha256
    assert_problem(api.get(listed["encoder"]), 404, "artifact_not_found")
    folder = settings.job_folder(job["id"]) / "checkpoints/step-00000020"
    folder.mkdir(parents=True)
    (folder / "encoder.safetensors").write_bytes(content)
    response = api.get(listed["encoder"])
    assert (response.content, response.headers["etag"]) == (content, f'"{sha256}"')
    other = api.get(f"/jobs/{job['id']}/checkpoints/21/encoder.safetensors")
    assert_problem(other, 404, "checkpoint_not_found")


@pytest.mark.parametrize("suffix", ["safetensors", "zarr.zip"])
def test_features_of_an_embed_job_are_downloaded(api, folder, settings, assert_problem, suffix):
    job = api.post("/embed", json={"dataset": "photos", "encoder": "test_vit@random"}).json()
    url = job["links"]["features"]
    assert_problem(api.get(url), 404, "artifact_not_found")
    features = settings.job_folder(job["id"]) / "features"
    features.mkdir(parents=True)
    shards = [{"file": f"features-00000.{suffix}", "images": ["a.jpg"]}]
    index = {"images": 1, "shards": shards, "skipped": []}
    (features / "index.json").write_text(json.dumps({**index, "patch_size": 16}))
    (features / f"features-00000.{suffix}").write_bytes(b"shard")
    assert api.get(url).json() == {**index, "patch_size": 16}
    assert api.get(f"{url}/index.json").json()["images"] == 1
    assert api.get(f"{url}/features-00000.{suffix}").content == b"shard"


@sqlite_only
@pytest.mark.parametrize(
    "file", ["train.log", "..%2Fconfig.json", "features-0.safetensors%00", "features-0.zip"]
)
def test_nothing_else_of_a_job_is_downloaded(api, job, settings, file):
    folder = settings.job_folder(job["id"])
    (folder / "features").mkdir(parents=True)
    for name in ("config.json", "train.log", "features/train.log"):
        (folder / name).write_text("secret")
    response = api.get(f"/jobs/{job['id']}/features/{file}")
    assert response.status_code in (404, 422)
    assert "secret" not in response.text


@sqlite_only
def test_cancelled_is_the_last_event_of_a_cancelled_job(api, job, worker):
    worker.claim().end(JobStatus.CANCELLED)
    assert read_events(api, job["id"])[-1]["data"]["message"] == "cancelled"
