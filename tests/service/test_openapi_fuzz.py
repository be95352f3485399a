"""Requests that schemathesis derives from the OpenAPI document, sent to a server that is in use.

`FUZZ_EXAMPLES=500` (see `make fuzz`) sends many more than the short form that always runs.
"""

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from contextlib import contextmanager

import pytest

from service.app import create_app
from service.auth import middleware
from service.auth.secret import new_token
from service.jobs.reports import REPORT_EXAMPLE
from service.store import attempts, jobs, queries
from service.store.base import utc_now
from service.store.models import Encoder
from service.store.status import JobStatus
from service.store.transitions import NewEvent

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "3"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
LONG = "FUZZ_EXAMPLES" in os.environ
ALL, BRIEF = "examples,coverage,fuzzing,stateful", "examples,fuzzing"
DIGEST = "0" * 64
ROUNDS = 4

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

CONFIG = """
request-timeout = 20
continue-on-failure = true

[dictionaries.jobs]
values = {jobs}
[dictionaries.encoders]
values = {encoders}
[dictionaries.steps]
values = [20]
[dictionaries.files]
values = ["index.json", "features-00000.safetensors"]

[parameters]
"path.job_id" = {{ dictionary = "jobs", probability = 0.8 }}
"path.encoder_id" = {{ dictionary = "encoders", probability = 0.8 }}
"path.step" = {{ dictionary = "steps", probability = 0.7 }}
"path.file" = {{ dictionary = "files", probability = 0.7 }}

# What fits the schema may still name a folder, an encoder or an image that is not there.
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 304, 401, 403, 404, 406, 409, 413, 422, 429]
"""


def make(session, kind, **config):
    return jobs.create(session, kind, config, request_sha256=DIGEST).id


def add_jobs(database, settings):
    """Jobs that have left all that jobs leave; returns their ids and their encoders'."""
    ids, encoders = [], []
    for number in range(ROUNDS):
        with database.write() as session:
            train = make(session, "train", evaluate={"dataset": "/data"})
            embed, evaluate = make(session, "embed"), make(session, "evaluate")
        for job_id in (train, embed, evaluate):
            write_artifacts(settings.job_folder(job_id))
            end(database, job_id, JobStatus.SUCCEEDED)
        encoders.append(f"enc_{number:026}")
        with database.write() as session:
            attempts.add_encoder(session, encoder(encoders[-1], train))
        ids += [train, embed, evaluate]
    return ids, encoders


def write_artifacts(folder):
    for file, content in {
        "train.log": "one\ntwo\n",
        "checkpoints/step-00000020/encoder.safetensors": "weights",
        "final/encoder.safetensors": "weights",
        "features/index.json": '{"images": 0, "shards": []}',
        "features/features-00000.safetensors": "features",
        "report.json": json.dumps(REPORT_EXAMPLE),
        "report.md": "| |",
        "report.html": "<p>",
        "evaluation/report.json": json.dumps(REPORT_EXAMPLE),
        "evaluation/report.md": "| |",
        "evaluation/report.html": "<p>",
    }.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(content)


def encoder(encoder_id, job_id):
    return Encoder(
        id=encoder_id,
        job_id=job_id,
        architecture="test_vit",
        base="test_vit@random",
        path=f"jobs/{job_id}/final/encoder.safetensors",
        sha256=DIGEST,
        bytes=7,
        steps=60,
    )


def end(database, job_id, status):
    """Do what a worker does, without the work; nothing if the job is gone or taken."""
    with database.write() as session:
        lease = attempts.claim(session, job_id, "worker-1", 60)
        if lease is None:
            return
        files = {"encoder.safetensors": {"sha256": DIGEST, "bytes": 7}}
        path = f"jobs/{job_id}/checkpoints/step-00000020"
        attempts.add_checkpoint(session, lease, 20, path, files, utc_now())
        metrics = {"step": 20, "total_steps": 20, "loss": float("nan"), "eta_seconds": 0}
        event = NewEvent("metrics", "", metrics, 20)
        attempts.record(session, lease, 60, [event], metrics)
        error = {"code": "job_failed", "message": "\0"} if status == JobStatus.FAILED else None
        attempts.finish(session, lease, status, error)


@contextmanager
def working_off(database):
    """End every queued job soon, so that jobs are in all statuses and streams of events end."""
    stopped = threading.Event()

    def work():
        while not stopped.wait(0.05):
            with database.read() as session:
                queued = queries.jobs_page(session, 100, status=JobStatus.QUEUED)
            for job in queued:
                ok = int(job.id[-1], 36) % 2
                end(database, job.id, JobStatus.SUCCEEDED if ok else JobStatus.FAILED)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def run_schemathesis(url, folder, *options):
    """Return what it printed, its exit code and the statuses of all answers."""
    har = folder / "requests.har"
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", folder / "schemathesis.toml"),
        *("run", f"{url}/openapi.json", "--checks", "all", "--seed", SEED),
        *("--max-examples", EXAMPLES, "--report", "har", "--report-har-path", har),
        *("--warnings", "off", *options),
    ]
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    )
    entries = json.loads(har.read_text())["log"]["entries"]
    return done.stdout + done.stderr, done.returncode, entries


def check(settings, database, serving, folder, *options):
    """Fail with what schemathesis prints, unless it found nothing."""
    ids, encoders = add_jobs(database, settings)
    config = CONFIG.format(jobs=json.dumps(ids), encoders=json.dumps(encoders))
    (folder / "schemathesis.toml").write_text(config)
    with serving(create_app(settings)) as api, working_off(database):
        url = str(api.base_url).rstrip("/")
        printed, code, entries = run_schemathesis(url, folder, *options)
    statuses = Counter(entry["response"]["status"] for entry in entries)
    server_errors = sum(count for status, count in statuses.items() if status >= 500)
    print(f"{len(entries)} requests, {server_errors} of them 5xx; {dict(sorted(statuses.items()))}")
    assert (code, server_errors) == (0, 0), printed


def test_every_answer_is_as_the_document_says(
    settings, database, serving, folder, labelled, all_workers, tmp_path
):
    check(settings, database, serving, tmp_path, "--phases", ALL)


@pytest.mark.parametrize("who", ["member", "stranger"])
def test_so_is_every_answer_of_a_server_that_asks_for_keys(
    locked, make_key, database, serving, folder, labelled, all_workers, tmp_path, monkeypatch, who
):
    monkeypatch.setattr(middleware, "FAILURES_A_MINUTE", 1_000_000)
    settings = locked.model_copy(update={"embed_rate_limit": 1_000_000})
    key = make_key("ada", "member") if who == "member" else new_token()
    options = ("--phases", ALL if LONG else BRIEF, "-H", f"Authorization: Bearer {key}")
    check(settings, database, serving, tmp_path, *options)
