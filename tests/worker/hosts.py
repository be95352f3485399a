"""Jobs whose files go through a bucket, on hosts that share a database and no disk."""

import hashlib

from service.store import jobs
from service.store.bucket import bucket_of
from tests.worker.running import events, in_thread, job_now, wait_for


def new_job(runner, steps=3, pause=0.0, weights="random", mode="chain"):
    encoder = {"architecture": "test_vit", "weights": weights}
    config = {"encoder": encoder, "mode": mode, "steps": steps, "pause": pause}
    with runner.database.write() as session:
        return jobs.create(session, "train", config, request_sha256="0" * 64).id


def run_a_little(runner, job_id):
    runner.stopping.clear()
    before = step(runner, job_id)
    thread = in_thread(runner, job_id)
    wait_for(lambda: step(runner, job_id) > before + 1)
    runner.stopping.set()
    thread.join()


def step(runner, job_id):
    return (job_now(runner, job_id).progress or {}).get("step", 0)


def expected(steps, state=b"start"):
    for at in range(1, steps + 1):
        state = hashlib.sha256(state + b"%d" % at).digest()
    return state


def names(runner, job_id):
    folder = runner.settings.job_folder(job_id)
    return {str(path.relative_to(folder)) for path in bucket_of(runner.settings).objects(folder)}


def complete(runner, job_id):
    return {name for name in names(runner, job_id) if name.endswith("/meta.json")}


def read(runner, job_id, name):
    bucket = bucket_of(runner.settings)
    return bucket.read(runner.settings.job_folder(job_id) / name)


def reason(runner, job_id):
    return events(runner, job_id, "status")[-1].data["reason"]
