import os
import threading
import time
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from service.auth.actor import LOCAL_ACTOR
from service.retention import collect as module
from service.retention.collect import collect
from service.store import jobs, queries
from service.store.base import utc_now
from service.store.ids import new_id
from service.store.models import AuditEntry, Checkpoint, Encoder, Job
from service.store.status import JobStatus

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def make_room(service, dry_run=False, **limits):
    values = {f"retention_{name}": value for name, value in limits.items()}
    settings = service.settings.model_copy(update=values)
    return collect(service.database, settings, LOCAL_ACTOR, dry_run=dry_run)


def ended(service, *steps, days=0, status=JobStatus.SUCCEEDED, **values):
    """A job with checkpoints that ended some days ago; its id."""
    job_id = service.add_job(*steps, status=status)
    with service.database.write() as session:
        when = utc_now() - timedelta(days=days)
        change = update(Job).where(Job.id == job_id).values(finished_at=when, **values)
        session.execute(change)
    return job_id


def steps(service, job_id):
    """Steps of the checkpoints by rows and by files."""
    with service.database.read() as session:
        rows = [row.step for row in queries.checkpoints_of(session, job_id)]
    folder = service.settings.job_folder(job_id) / "checkpoints"
    return rows, sorted(int(path.name[5:]) for path in folder.glob("step-*"))


def messages(service, job_id):
    with service.database.read() as session:
        events = queries.events_after(session, job_id, 0)
        return [event.message for event in events if event.type == "message"]


def test_old_checkpoints_go_with_a_word_in_job_and_audit_log(service):
    old, new = ended(service, 10, 20, days=31), ended(service, 10)
    service.add_encoder(old)
    done = make_room(service, checkpoints_days=30)
    assert {(one.job_id, one.step) for one in done.removed} == {(old, 10), (old, 20)}
    assert done.bytes == sum(one.bytes for one in done.removed) == 2 * len(b"weightsstate at 10")
    assert steps(service, old) == ([], [])
    assert steps(service, new) == ([10], [10])
    assert messages(service, old) == ["removed to make room: checkpoint 10, checkpoint 20"]
    with service.database.read() as session:
        (entry,) = session.scalars(select(AuditEntry)).all()
        assert session.get_one(Job, old).collected_at is not None
        encoder = queries.encoder_of_job(session, old)
    assert (entry.action, entry.target, entry.user_name) == ("job.collect", old, "local")
    assert (service.settings.artifacts_folder / encoder.path).exists()
    assert make_room(service, checkpoints_days=30).removed == []


def test_a_dry_run_changes_nothing(service, tmp_path):
    gone = add_folder(service)
    old = ended(service, 10, days=31)
    before, files = service.tables(tmp_path), service.files()
    done = make_room(service, dry_run=True, checkpoints_days=30)
    assert [one.job_id for one in done.removed] == [old]
    assert [one.path for one in done.orphans] == [str(gone)]
    assert (service.tables(tmp_path), service.files()) == (before, files)


def test_what_is_protected_stays_whatever_the_limits(service):
    everything = {"checkpoints_days": 0, "artifacts_days": 0, "quota_bytes": 0, "encoders": True}
    pinned = ended(service, 10, days=99, pinned=True)
    running = service.add_job(10)
    base = ended(service, 10, days=99)
    service.add_encoder(base)
    weights = str(service.settings.job_folder(base) / "final/encoder.safetensors")
    with service.database.write() as session:
        jobs.create(session, "evaluate", {"encoders": [{"weights": weights}]}, request_sha256="")
    before = service.files()
    assert make_room(service, **everything).removed == []
    assert service.files() == before
    for job_id in (pinned, running, base):
        assert steps(service, job_id) == ([10], [10])


@SQLITE
def test_artifacts_and_encoders_go_if_the_settings_say_so(service):
    job_id = ended(service, 10, days=31)
    service.add_encoder(job_id)
    service.write(f"jobs/{job_id}/features/index.json", b"{}")
    make_room(service, artifacts_days=30)
    folder = service.settings.job_folder(job_id)
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoints", "final"]
    make_room(service, artifacts_days=30, checkpoints_days=30, encoders=True)
    with service.database.read() as session:
        assert session.scalars(select(Encoder)).all() == []
        assert session.get_one(Job, job_id).files_bytes == 0
    assert not [path for path in folder.rglob("*") if path.is_file()]


@SQLITE
@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.CANCELLED])
def test_a_job_that_can_be_resumed_keeps_its_last_checkpoint_until_the_age_limit(service, status):
    job_id = ended(service, 10, 20, days=5, status=status)
    make_room(service, quota_bytes=0, checkpoint_jobs=0)
    assert steps(service, job_id) == ([20], [20])
    with service.database.write() as session:
        jobs.resume(session, job_id)
    assert make_room(service, checkpoints_days=0).removed == []
    with service.database.write() as session:
        jobs.cancel(session, job_id)
    make_room(service, checkpoints_days=0)
    assert steps(service, job_id) == ([], [])


def test_a_job_that_begins_to_use_another_in_time_protects_it(service, monkeypatch):
    job_id = ended(service, 10, days=31)
    real = module.choose

    def choose_then_submit(*arguments):
        choices = real(*arguments)
        with service.database.write() as session:
            weights = f"/artifacts/jobs/{job_id}/final/encoder.safetensors"
            jobs.create(session, "embed", {"weights": weights}, request_sha256="")
        return choices

    monkeypatch.setattr(module, "choose", choose_then_submit)
    assert make_room(service, checkpoints_days=30).removed == []
    assert steps(service, job_id) == ([10], [10])


@SQLITE
def test_a_resume_between_rows_and_files_keeps_the_files(service, monkeypatch):
    job_id = ended(service, 10, days=31, status=JobStatus.CANCELLED)
    real = module._drop_rows

    def drop_and_resume(*arguments):
        done = real(*arguments)
        with service.database.write() as session:
            jobs.resume(session, job_id)
        return done

    monkeypatch.setattr(module, "_drop_rows", drop_and_resume)
    make_room(service, checkpoints_days=30)
    assert steps(service, job_id) == ([], [10])  # its worker finds it, and notes it again


@SQLITE
@pytest.mark.parametrize("step", ["has_ended", "remove_all"])
def test_what_a_crash_leaves_is_not_offered_and_goes_with_the_next_run(service, monkeypatch, step):
    job_id = ended(service, 10, 20, days=31)
    target = jobs if step == "has_ended" else module

    def crash(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(target, step, crash)
    with pytest.raises(KeyboardInterrupt):
        make_room(service, checkpoints_days=30)
    assert steps(service, job_id)[0] == []
    monkeypatch.undo()
    make_room(service, checkpoints_days=30)
    assert steps(service, job_id) == ([], [])
    left = service.settings.job_folder(job_id).rglob("*")
    assert {path.name for path in left if path.is_file()} == {"train.log"}


@SQLITE
def test_folders_without_a_job_go_once_they_are_a_day_old(service):
    old, new = add_folder(service), add_folder(service, days=0)
    known = ended(service, 10)
    other = add_folder(service, name="something-else")
    done = make_room(service)
    assert [(one.path, one.bytes) for one in done.orphans] == [(str(old), 4)]
    left = {path.name for path in old.parent.iterdir()}
    assert left == {new.name, known, other.name}
    assert not done.policy_set


@SQLITE
def test_an_older_copy_of_the_database_does_not_make_newer_jobs_orphans(service):
    ended(service, 10)
    newer = add_folder(service)
    assert make_room(service).orphans == []
    assert newer.exists()


def add_folder(service, name=None, days=1.1):
    """A folder that no row names, last changed some days ago."""
    name = name or new_id("job")
    service.write(f"jobs/{name}/train.log", b"line")
    folder = service.settings.job_folder(name)
    then = time.time() - days * 86_400
    os.utime(folder, (then, then))
    time.sleep(0.002)  # ids of one millisecond are in any order
    return folder


def test_several_runs_at_once_remove_everything_once(service):
    made = [ended(service, 10, days=31) for _ in range(6)]
    barrier, found = threading.Barrier(3), []

    def run():
        barrier.wait()
        found.append(make_room(service, checkpoints_days=30))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    with service.database.read() as session:
        assert session.scalars(select(Checkpoint)).all() == []
    for job_id in made:
        assert steps(service, job_id) == ([], [])
        assert messages(service, job_id) == ["removed to make room: checkpoint 10"]
    assert sum(len(done.removed) for done in found) == len(made)
