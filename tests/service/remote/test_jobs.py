import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from service.store.base import utc_now
from service.store.contract import CONTRACT_VERSION, worker_key
from service.store.status import JobStatus

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_a_job_from_its_submission_to_its_removal(remote, api, folder):
    out, err = remote("train", "photos", "--preset", "tiny", "--set", "optim.max_steps=7", "--low")
    [job] = api.get("/jobs").json()["data"]
    assert out.splitlines()[0] == f"{job['id']}  train  queued" and err == ""
    assert f"paka remote wait {job['id']}" in out
    assert job["config"]["optim"]["max_steps"] == 7 and job["priority"] == "low"

    out, _ = remote("jobs", "--status", "queued")
    assert out.split()[:3] == ["id", "kind", "status"] and job["id"] in out
    assert job["id"] in remote("jobs", "--search", "train STARTER")[0]
    assert job["id"] not in remote("jobs", "--search", "train large")[0]
    out, _ = remote("job", job["id"])
    assert "waits for" in out and str(folder) in out
    remote("update", job["id"], "--name", "ours", "--pin")
    assert json.loads(remote("job", job["id"], "--json")[0])["name"] == "ours"
    remote("cancel", job["id"])
    _, err = remote("cancel", job["id"], code=1)
    assert err.startswith("error: ") and "cancelled" in err
    _, err = remote("wait", job["id"], code=3)
    assert f"paka remote resume {job['id']}" in err
    remote("resume", job["id"])
    remote("cancel", job["id"])
    _, err = remote("delete", job["id"], input="n\n", code=1)
    assert "Remove" in err
    remote("delete", job["id"], "--yes")
    assert api.get("/jobs").json()["data"] == []


def test_json_is_all_there_is_on_standard_output(remote, job, worker):
    worker.claim().log(1, 2)
    worker.end()
    assert [one["id"] for one in json.loads(remote("jobs", "--json")[0])] == [job["id"]]
    out, err = remote("wait", job["id"], "--json")
    assert json.loads(out)["status"] == "succeeded" and "2/60" in err
    events = [json.loads(line) for line in remote("events", job["id"], "--json")[0].splitlines()]
    assert [event["type"] for event in events] == [
        *("status", "status", "metrics", "metrics", "status")
    ]
    rows = remote("metrics", job["id"], "--format", "json")[0].splitlines()
    assert [json.loads(row)["loss"] for row in rows] == [1.0, 0.5]


def test_metrics_as_csv_and_events_as_lines(remote, job, worker):
    worker.claim().log(1, 2)
    worker.end()
    lines = remote("metrics", job["id"])[0].splitlines()
    assert lines[0].split(",")[0] == "step" and "loss" in lines[0] and len(lines) == 3
    lines = remote("events", job["id"])[0].splitlines()
    assert lines[0].endswith("status  queued")
    assert lines[3].endswith("metrics 2  loss 0.5000  0:00:58 left")


def test_a_job_that_fails_is_exit_code_1_with_its_reason(remote, job, worker):
    worker.claim()
    worker.end(JobStatus.FAILED, {"code": "out_of_memory", "message": "lower the batch size"})
    _, err = remote("wait", job["id"], code=1)
    assert "lower the batch size (out_of_memory)" in err
    assert "lower the batch size" in remote("job", job["id"])[0]


def test_a_log_is_followed_to_the_end_of_its_job(remote, job, worker, settings, monkeypatch):
    monkeypatch.setattr("service.client.operations.jobs.LOG_SECONDS", 0.05)
    log = settings.job_folder(job["id"]) / "train.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("1\n2\n3\n")
    worker.claim()
    timer = threading.Timer(0.2, worker.end)
    timer.start()
    assert remote("logs", "-f", job["id"], "--tail", "2")[0] == "2\n3\n"
    timer.join()
    assert remote("logs", job["id"])[0] == "1\n2\n3\n"


def test_a_reader_that_has_seen_enough_is_no_error(api, job, worker, settings):
    log = settings.job_folder(job["id"]) / "train.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("a line\n" * 100_000)
    worker.claim()
    command = [sys.executable, "-m", "paka.cli", "remote", "logs", job["id"]]
    with subprocess.Popen(
        command,
        env={**os.environ, "PAKA_URL": str(api.base_url), "PYTHONUNBUFFERED": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "a line\n"
        process.stdout.close()
        assert process.stderr.read() == ""


def test_ctrl_c_leaves_the_job_running_and_says_how_to_come_back(api, job, worker):
    worker.claim().log(1)
    command = [sys.executable, "-m", "paka.cli", "remote", "wait", job["id"]]
    process = subprocess.Popen(
        command,
        env={**os.environ, "PAKA_URL": str(api.base_url)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines = (process.stderr.readline() for _ in range(3))
    assert any("1/60" in line or "queued" in line for line in lines)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 3
    assert f"{job['id']} goes on: paka remote wait {job['id']}" in err
    assert not api.get(f"/jobs/{job['id']}").json()["cancel_requested"]


def test_a_running_job_that_was_cancelled_is_stopping(remote, job, worker):
    worker.claim()
    assert remote("cancel", job["id"])[0].split()[:3] == [job["id"], "train", "stopping"]
    assert "stopping" in remote("jobs")[0]
    assert "stopping" in remote("job", job["id"])[0]
    worker.end(JobStatus.CANCELLED)
    assert f"paka remote resume {job['id']}" in remote("wait", job["id"], code=3)[1]


def test_settings_from_a_file_and_the_command_line(remote, api, folder, tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text("optim: {max_steps: 5, batch_size: 2}\ndataset: elsewhere\n")
    remote("train", "photos", "--config", file, "--set", "optim.max_steps=6", "--preset", "tiny")
    [job] = api.get("/jobs").json()["data"]
    optim = job["config"]["optim"]
    assert (optim["max_steps"], optim["batch_size"]) == (6, 2)
    out, _ = remote("train", "photos", "--preset", "tiny", "--dry-run")
    assert "80 steps" in out and len(api.get("/jobs").json()["data"]) == 1
    out, _ = remote("train", "photos", "--preset", "tiny", "--dry-run", "--json")
    assert json.loads(out)["total_steps"] == 80


def test_a_dry_run_is_of_what_would_be_submitted(remote, redis, folder):
    slot = {"id": "GPU-a", "device": "NVIDIA A", "total_bytes": 2**36, "free_bytes": 2**36}
    about = {"name": "w", "kind": "jobs", "host": "h", "pid": 1, "version": "1"}
    about |= {"contract": CONTRACT_VERSION, "started_at": utc_now().isoformat(), "slots": [slot]}
    redis.set(worker_key("jobs", "w"), json.dumps(about))
    train = ("train", "photos", "--preset", "tiny")
    _, err = remote(*train, "--dry-run", "--slots", "2", code=2)
    assert "needs 2 slots" in err
    remote(*train, "--low")
    starts = {
        low: json.loads(remote(*train, "--dry-run", "--json", *low)[0])["start_in_seconds"]
        for low in ((), ("--low",))
    }
    assert starts[()] == 0 < starts["--low",]


def test_an_error_without_a_message_is_its_code(remote, job, worker):
    worker.claim()
    worker.end(JobStatus.FAILED, {"code": "lost", "message": None})
    out, _ = remote("job", job["id"])
    assert "lost" in out and "None" not in out
