import shutil

import pytest

from service.store import attempts
from service.store.broker import waiting_job_ids
from service.store.status import Cause, JobStatus

TINY = {"preset": "tiny", "dataset": "photos"}
UNKNOWN = "job_" + "0" * 26
sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_jobs_are_listed_newest_first_in_pages(api, folder):
    made = [api.post("/train", json=TINY).json()["id"] for _ in range(5)]
    seen, after = [], None
    while True:
        page = api.get("/jobs", params={"limit": 2, **({"after": after} if after else {})}).json()
        seen += [job["id"] for job in page["data"]]
        assert page.keys() == {"data", "has_more", "next"}
        after = page["next"]
        if not page["has_more"]:
            break
    assert after is None
    assert seen == sorted(made, reverse=True)


def test_jobs_are_filtered_by_kind_and_status(api, job, worker):
    def ids(**filters):
        return [job["id"] for job in api.get("/jobs", params=filters).json()["data"]]

    assert ids(kind="train") == ids(status="queued") == [job["id"]]
    assert ids(kind="embed") == ids(status="running") == []
    worker.claim()
    assert ids(status="running", kind="train") == [job["id"]]


@sqlite_only
@pytest.mark.parametrize(
    ("field", "value"),
    [("limit", 0), ("limit", 1001), ("after", "x"), ("kind", "x"), ("status", "done")],
)
def test_a_bad_filter_is_named(api, assert_problem, field, value):
    assert_problem(api.get("/jobs", params={field: value}), 422, "invalid_request", field)


def test_a_running_job_shows_progress_and_time_left(api, job, worker):
    worker.claim().log(10, 20)
    shown = api.get(f"/jobs/{job['id']}").json()
    assert (shown["status"], shown["attempt"]) == ("running", 1)
    assert shown["progress"]["step"] == 20
    assert shown["eta_seconds"] == 40
    assert shown["started_at"].endswith("Z")


def test_a_job_shows_the_images_that_it_skipped(api, job, worker, database):
    assert api.get(f"/jobs/{job['id']}").json()["skipped"] is None
    skipped = {"count": 1, "images": [{"image": "a.jpg", "reason": "cannot be decoded"}]}
    worker.claim()
    with database.write() as session:
        attempts.record(session, worker.lease, 30, skipped=skipped)
    assert api.get(f"/jobs/{job['id']}").json()["skipped"] == skipped


def test_a_succeeded_job_names_its_encoder(api, job, worker):
    worker.claim().add_encoder("enc_" + "2" * 26, "x", "0" * 64)
    worker.end()
    shown = api.get(f"/jobs/{job['id']}").json()
    assert (shown["status"], shown["encoder"]) == ("succeeded", "enc_" + "2" * 26)
    assert shown["links"]["weights"] == f"/encoders/{shown['encoder']}/weights"
    assert shown["eta_seconds"] is None


def test_a_failed_job_says_why(api, job, worker):
    error = {"code": "job_failed", "message": "the loss is not finite"}
    worker.claim().end(JobStatus.FAILED, error)
    assert api.get(f"/jobs/{job['id']}").json()["error"] == error


@sqlite_only
@pytest.mark.parametrize("job_id", [UNKNOWN, "job_x", "%F0%9F%90%88", "a" * 300])
def test_an_unknown_job_is_not_found(api, assert_problem, job_id):
    for method, path in (
        ("GET", ""),
        ("GET", "/metrics"),
        ("GET", "/events"),
        ("GET", "/log"),
        ("GET", "/checkpoints"),
        ("GET", "/checkpoints/1/encoder.safetensors"),
        ("GET", "/report"),
        ("GET", "/features"),
        ("GET", "/features/index.json"),
        ("POST", "/cancel"),
        ("POST", "/resume"),
        ("DELETE", ""),
    ):
        assert_problem(api.request(method, f"/jobs/{job_id}{path}"), 404, "job_not_found")


def test_a_null_character_in_an_id_is_not_found(api, assert_problem):
    assert_problem(api.get("/jobs/%00"), 404, "job_not_found")
    assert_problem(api.get("/encoders/%00"), 404, "encoder_not_found")


def test_metrics_come_in_pages_by_step(api, job, worker):
    worker.claim().log(1, 2, 3, 4, 5)
    url = f"/jobs/{job['id']}/metrics"
    first = api.get(url, params={"limit": 3}).json()
    assert [row["step"] for row in first["data"]] == [1, 2, 3]
    assert (first["has_more"], first["next"]) == (True, 3)
    assert first["data"][1]["loss"] == 0.5
    rest = api.get(url, params={"limit": 3, "after_step": first["next"]}).json()
    assert [row["step"] for row in rest["data"]] == [4, 5]
    assert (rest["has_more"], rest["next"]) == (False, None)


@sqlite_only
@pytest.mark.parametrize("step", [-2, 2**31, "x"])
def test_a_step_out_of_range_is_refused(api, job, assert_problem, step):
    response = api.get(f"/jobs/{job['id']}/metrics", params={"after_step": step})
    assert_problem(response, 422, "invalid_request", "after_step")


def test_a_queued_job_is_cancelled_at_once_and_can_be_resumed(api, job, redis, assert_problem):
    url = f"/jobs/{job['id']}"
    response = api.post(f"{url}/cancel")
    assert (response.status_code, response.json()["status"]) == (202, "cancelled")
    assert_problem(api.post(f"{url}/cancel"), 409, "illegal_transition")
    redis.flushall()
    response = api.post(f"{url}/resume")
    assert (response.status_code, response.json()["status"]) == (202, "queued")
    assert waiting_job_ids(redis) == {job["id"]}
    assert_problem(api.post(f"{url}/resume"), 409, "illegal_transition")


def test_a_running_job_is_asked_to_stop(api, job, worker):
    worker.claim()
    response = api.post(f"/jobs/{job['id']}/cancel").json()
    assert (response["status"], response["cancel_requested"]) == ("running", True)
    assert worker.log(1) == Cause.CANCELLED  # so its worker learns of it


def test_only_a_job_that_has_ended_is_deleted_with_all_that_it_made(
    api, job, worker, settings, snapshot, database, assert_problem
):
    url = f"/jobs/{job['id']}"
    assert_problem(api.delete(url), 409, "illegal_transition")
    worker.claim()
    assert_problem(api.delete(url), 409, "illegal_transition")
    settings.job_folder(job["id"]).mkdir(parents=True)
    (settings.job_folder(job["id"]) / "train.log").write_text("line\n")
    worker.add_encoder("enc_" + "3" * 26, "x", "0" * 64)
    worker.end()
    assert api.delete(url).status_code == 204
    rows, _, files = snapshot()
    assert {table for table, count in rows.items() if count} == {"users", "attempts", "audit_log"}
    assert not [file for file in files if job["id"] in str(file)]
    assert_problem(api.delete(url), 404, "job_not_found")


def test_a_deleted_job_without_files_is_no_error(api, job, settings):
    api.post(f"/jobs/{job['id']}/cancel")
    shutil.rmtree(settings.artifacts_folder, ignore_errors=True)
    assert api.delete(f"/jobs/{job['id']}").status_code == 204
