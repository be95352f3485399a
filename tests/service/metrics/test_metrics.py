"""What `/metrics` says, after what has really happened."""

import threading

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from pydantic import SecretStr

from service.app import create_app
from service.metrics.recent import Recent
from service.store import attempts, jobs
from service.store.contract import CONTRACT_VERSION
from service.store.models import Job
from service.store.status import JobStatus

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
TOKEN = "a-token-for-prometheus"


@sqlite_only
def test_both_formats_can_be_parsed(api, scrape):
    assert scrape(api)["paka_build_info", str(CONTRACT_VERSION), "0.1.0"] == 1
    accept = "application/openmetrics-text; version=1.0.0, text/plain; q=0.5"
    response = api.get("/metrics", headers={"Accept": accept})
    assert response.headers["content-type"].startswith("application/openmetrics-text; version=1.0")
    families = {family.name: family for family in open_metrics(response.text)}
    assert families["paka_attempts_ended"].type == "counter"
    assert families["paka_http_request_duration_seconds"].type == "histogram"
    assert all(family.documentation for family in families.values())


def test_jobs_are_counted_and_counters_outlive_them(api, scrape, job, worker, database):
    first = scrape(api)
    assert first["paka_jobs", "train", "queued"] == 1
    assert first["paka_jobs", "embed", "queued"] == 0
    assert first["paka_queue_length", "normal"] == first["paka_queue_users",] == 1
    assert 0 < first["paka_queue_oldest_seconds", "normal"] < 60
    assert first["paka_queue_oldest_seconds", "high"] == 0
    worker.claim()
    running = scrape(api)
    assert running["paka_jobs", "train", "running"] == 1
    assert running["paka_attempts_started_total", "train"] == 1
    worker.end(JobStatus.FAILED, {"code": "job_failed", "message": "no"})
    api.delete(f"/jobs/{job['id']}").raise_for_status()
    ended = scrape(api)
    assert ended["paka_jobs", "train", "failed"] == ended["paka_queue_length", "normal"] == 0
    assert ended["paka_attempts_ended_total", "failed", "train"] == 1
    assert ended["paka_attempts_started_total", "train"] == 1


@sqlite_only
def test_workers_tell_of_their_machine_and_of_each_pass(api, scrape, announce, use):
    slots = [{"id": "GPU-a", "device": "NVIDIA A", "total_bytes": 8, "free_bytes": 1}]
    announce("jobs", slots=slots, use=use, problem="the disk is full")
    embedding = {"passes": [1, 0, 2, 0, 0, 0, 0], "images": 9, "loaded": 3, "warm": 2}
    announce("embed", use=use, embedding=embedding)
    found = scrape(api)
    assert found["paka_workers", "jobs"] == found["paka_workers", "embed"] == 1
    assert found["paka_workers_refusing", "jobs"] == 1
    assert found["paka_workers_refusing", "embed"] == 0
    assert found["paka_gpu_utilization_ratio", "NVIDIA A", "GPU-a", "gpu-server"] == 0.9
    assert found["paka_gpu_memory_used_bytes", "NVIDIA A", "GPU-a", "gpu-server"] == 7
    assert not any(name == "paka_gpu_memory_bytes" and "MIG-b" in rest for name, *rest in found)
    assert found["paka_host_cpu_ratio", "gpu-server"] == 0.5
    assert found["paka_worker_memory_bytes", "embed", "embed-1"] == 5
    assert found["paka_embed_pass_images_bucket", "1.0", "embed-1"] == 1
    assert found["paka_embed_pass_images_bucket", "4.0", "embed-1"] == 3
    assert found["paka_embed_pass_images_count", "embed-1"] == 3
    assert found["paka_embed_pass_images_sum", "embed-1"] == 9
    assert found["paka_embed_encoders_loaded_total", "embed-1"] == 3
    assert found["paka_slots", "NVIDIA A"] == 1
    assert found["paka_slots_used", "NVIDIA A"] == 0


@sqlite_only
def test_trainings_are_told_of_by_device_together(api, scrape, announce, step, database, folder):
    slots = [
        {"id": f"GPU-{n}", "device": "NVIDIA A", "total_bytes": 8, "free_bytes": 1} for n in "abc"
    ]
    announce("jobs", slots=slots)
    for slot, seconds in (("GPU-a", 0.5), ("GPU-b", 1.5), ("GPU-c", None)):
        with database.write() as session:
            job = jobs.create(session, "train", {}, request_sha256="0" * 64)
            lease = attempts.claim(session, job.id, "w", 60, "w", [slot])
            if seconds is not None:
                row = {**step, "step_seconds": seconds, "seconds_load": seconds / 5}
                attempts.record(session, lease, 60, progress=row)
    found = scrape(api)
    assert found["paka_training_jobs", "NVIDIA A"] == 2
    assert found["paka_training_images_per_second", "NVIDIA A"] == 64
    assert found["paka_training_step_seconds", "NVIDIA A"] == 1
    assert found["paka_training_part_seconds", "NVIDIA A", "load"] == pytest.approx(0.2)
    assert found["paka_training_part_seconds", "NVIDIA A", "backward"] == 0.25
    assert found["paka_training_peak_memory_bytes", "NVIDIA A"] == 1000
    assert found["paka_slots_used", "NVIDIA A"] == 3


@sqlite_only
def test_embedding_requests_are_counted_as_they_were(api, scrape, embed_worker, photos):
    photo = (photos / "astronaut.jpg").read_bytes()
    for count in (1, 3):
        files = [("images", photo)] * count
        api.post("/embed", files=files, data={"encoder": "test_vit@random", "size": "32"})
    embed_worker.error = ("out_of_memory", "too large")
    files = [("images", photo)]
    api.post("/embed", files=files, data={"encoder": "test_vit@random", "size": "32"})
    found = scrape(api)
    assert found["paka_embed_request_images_count",] == 2
    assert found["paka_embed_request_images_sum",] == 4
    for part in ("queue", "inference", "total"):
        assert found["paka_embed_duration_seconds_count", part] == 2
    assert found["paka_embed_duration_seconds_sum", "inference"] == 0.5
    assert found["paka_http_problems_total", "out_of_memory", "/embed"] == 1
    key = ("paka_http_request_duration_seconds_count", "POST", "/embed")
    assert (found[*key, "2xx"], found[*key, "5xx"]) == (2, 1)
    assert found["paka_embed_requests_in_progress",] == found["paka_embed_queue_length",] == 0


@sqlite_only
def test_requests_count_by_their_route_whatever_clients_make_up(api, scrape):
    api.get("/jobs/job_1")
    api.get("/jobs/job_2")
    api.get("/made/up")
    api.request("BREW", "/jobs")
    api.get("/metrics")
    found = scrape(api)
    name = "paka_http_request_duration_seconds_count"
    assert found[name, "GET", "/jobs/{job_id}", "4xx"] == 2
    assert found[name, "GET", "none", "4xx"] == 1
    assert found[name, "other", "/jobs", "4xx"] == 1
    assert found[name, "GET", "/metrics", "2xx"] == 1
    assert found["paka_http_problems_total", "job_not_found", "/jobs/{job_id}"] == 2
    assert found["paka_http_requests_in_progress",] == 1  # this very scrape


@sqlite_only
def test_unexpected_errors_are_counted_from_0_on(api, scrape, embed_worker, photos):
    assert scrape(api)["paka_http_internal_errors_total",] == 0
    files = [("images", (photos / "astronaut.jpg").read_bytes())]
    for code in ("internal", "out_of_memory"):
        embed_worker.error = (code, "no")
        api.post("/embed", files=files, data={"encoder": "test_vit@random", "size": "32"})
    found = scrape(api)
    assert found["paka_http_internal_errors_total",] == 1
    assert found["paka_http_problems_total", "internal", "/embed"] == 1


@sqlite_only
def test_an_event_stream_counts_until_its_first_byte_only(api, scrape, job):
    with api.stream("GET", f"/jobs/{job['id']}/events") as stream:
        lines = stream.iter_lines()  # which would end with the last reference to it
        next(lines)
        found = scrape(api)
        assert found["paka_http_event_streams",] == 1
        route = ("GET", "/jobs/{job_id}/events", "2xx")
        assert found["paka_http_request_duration_seconds_count", *route] == 1
        assert found["paka_http_requests_in_progress",] == 1


@sqlite_only
def test_what_is_away_is_said_and_left_out(settings, serving, scrape, tmp_path):
    away = {"redis_url": f"unix://{tmp_path}/no.sock", "database_url": "sqlite:////no/where.db"}
    with serving(create_app(settings.model_copy(update=away))) as api:
        found = scrape(api)
    assert found["paka_database_up",] == found["paka_redis_up",] == 0
    assert not any(name.startswith(("paka_jobs", "paka_queue")) for name, *_ in found)
    assert found["paka_workers", "jobs"] == 0


@pytest.fixture
def guarded(locked, serving):
    with serving(create_app(locked.model_copy(update={"metrics_token": SecretStr(TOKEN)}))) as api:
        yield api


def bearer(token):
    return {"headers": {"Authorization": f"Bearer {token}"}}


@sqlite_only
def test_a_key_or_the_token_opens_the_metrics(guarded, scrape, people, assert_problem):
    assert_problem(guarded.get("/metrics"), 401, "unauthorized")
    for wrong in ("wrong", TOKEN[:-1], TOKEN + "x"):
        assert_problem(guarded.get("/metrics", **bearer(wrong)), 401, "unauthorized")
    for right in (people["viewer"], TOKEN):
        assert scrape(guarded, **bearer(right))["paka_redis_up",] == 1


@sqlite_only
def test_the_token_opens_nothing_else(guarded, assert_problem):
    for path in ("/jobs", "/cluster", "/metrics/", "/me"):
        assert_problem(guarded.get(path, **bearer(TOKEN)), 401, "unauthorized")


@sqlite_only
def test_nothing_names_a_job_a_user_or_a_data_set(ask, database, folder, step):
    body = {"preset": "tiny", "dataset": "photos", "visibility": "private", "name": "hush"}
    created = ask("owner", "POST", "/train", json=body)
    assert created.status_code == 202
    with database.write() as session:
        job = session.get_one(Job, created.json()["id"])
        lease = attempts.claim(session, job.id, "worker-1", 60)
        attempts.record(session, lease, 60, progress=step)
    text = ask("viewer", "GET", "/metrics").text
    assert 'paka_training_jobs{device="unknown"} 1.0' in text
    for secret in (job.id, "owner", "hush", "photos", "vit_starter"):
        assert secret not in text


def test_what_is_recent_is_made_once_for_all(monkeypatch):
    monkeypatch.setattr("service.metrics.recent.KEEP_SECONDS", 60.0)
    made, recent, together = [], Recent(), threading.Barrier(4)

    def ask():
        together.wait()
        recent.get(lambda: made.append(1) or "value")

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]
    monkeypatch.setattr("service.metrics.recent.KEEP_SECONDS", -1.0)
    assert recent.get(lambda: "new") == "new"
