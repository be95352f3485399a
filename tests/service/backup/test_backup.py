import json
import os
import resource
import stat
import tarfile
from contextlib import contextmanager

import pytest
from sqlalchemy import select

from service.backup import BackupError
from service.backup.create import backup
from service.backup.read import read
from service.backup.restore import restore
from service.store import attempts, jobs, migrate, queries
from service.store.models import Attempt, AuditEntry, Checkpoint, Encoder, Job
from service.store.status import JobStatus

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
HISTORY = "tables/audit_log.jsonl"


def rows(service, table):
    with service.database.read() as session:
        return session.scalars(select(table)).all()


def test_all_that_was_saved_comes_back(full, empty, tmp_path):
    archive = tmp_path / "backup.tar"
    made = backup(full.settings, archive)
    assert made.left_out == []
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    before, files = full.tables(tmp_path), full.files()
    restored = restore(empty.settings, archive)
    assert restored.rows["jobs"] == 3
    assert empty.files() == files
    secret = empty.settings.home / "secret.key"
    assert (secret.read_text(), stat.S_IMODE(secret.stat().st_mode)) == ("hush", 0o600)
    after = empty.tables(tmp_path)
    same = {"tables/users.jsonl", "tables/api_keys.jsonl", "tables/checkpoints.jsonl"}
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert len(rows(empty, AuditEntry)) == 1


def test_a_job_that_ran_waits_again_and_goes_on(full, empty, tmp_path):
    backup(full.settings, tmp_path / "backup.tar")
    (job_id,) = restore(empty.settings, tmp_path / "backup.tar").requeued
    with empty.database.read() as session:
        job = queries.job_by_id(session, job_id)
        last = queries.events_after(session, job_id, 0)[-1]
        attempt = session.scalars(select(Attempt).where(Attempt.job_id == job_id)).one()
    assert (job.status, job.lost_attempts, job.lease_owner) == (JobStatus.QUEUED, 0, None)
    assert (last.message, last.data["cause"]) == ("queued", "lost")
    assert "restored from the backup of " in last.data["reason"]
    assert (attempt.ending, attempt.ended_at is None) == ("lost", False)
    with empty.database.write() as session:
        lease = attempts.claim(session, job_id, "worker-2", 60)
        assert lease.attempt == 2
        attempts.finish(session, lease, JobStatus.SUCCEEDED)
        assert jobs.create(session, "train", {}, request_sha256="1" * 64).id


def test_paths_lead_to_the_new_folders(full, empty, tmp_path):
    old = full.settings.artifacts_folder
    weights = f"{old}/jobs/job_1/final/encoder.safetensors"
    other = f"{old}-other/kept"
    full.add_job(config={"encoder": {"weights": weights}, "also": [weights, other]})
    backup(full.settings, tmp_path / "backup.tar")
    restore(empty.settings, tmp_path / "backup.tar")
    new = empty.settings.artifacts_folder
    moved = f"{new}/jobs/job_1/final/encoder.safetensors"
    configs = [job.config for job in rows(empty, Job) if job.config]
    assert configs == [{"encoder": {"weights": moved}, "also": [moved, other]}]
    with empty.database.read() as session:
        assert queries.encoders_page(session, 1)[0].base.startswith(f"test_vit@{new}/jobs/")


@pytest.mark.parametrize("empty_database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("revision", migrate.known_revisions())
def test_a_backup_of_every_revision_can_be_restored(
    make_service, empty_database_url, empty, filled, tmp_path, revision
):
    old = make_service("old", empty_database_url)
    filled(old.database, empty_database_url, revision)
    archive = tmp_path / "backup.tar"
    made = backup(old.settings, archive)
    encoder, checkpoint, *_ = made.left_out[::-1]
    assert "enc_1" in encoder
    assert "job_succeeded" in checkpoint
    restored = restore(empty.settings, archive)
    assert restored.about.revision == revision
    assert set(restored.requeued) >= {"job_running"}
    migrate.upgrade(empty_database_url)
    with old.database.read() as before, empty.database.read() as after:
        for job in before.scalars(select(Job)):
            kept = after.get_one(Job, job.id)
            assert (kept.config, kept.created_at) == (job.config, job.created_at)
            assert kept.status in (job.status, "queued", "cancelled")
        kept = queries.events_after(after, "job_succeeded", 0)
        assert [event.type for event in kept] == ["status", "metrics", "checkpoint"]


def test_rows_are_the_same_on_the_other_kind_of_database(
    make_service, empty_database_url, empty, filled, tmp_path
):
    """To SQLite, and from there back to the kind that it came from."""
    first = make_service("first", empty_database_url)
    filled(first.database, empty_database_url, migrate.latest_revision())
    for source, target in ((first, empty), (empty, first)):
        backup(source.settings, tmp_path / "backup.tar")
        restore(target.settings, tmp_path / "backup.tar", replace=target is first)
    there, back = empty.tables(tmp_path), first.tables(tmp_path)
    assert len(there) > 8
    del there[HISTORY], back[HISTORY]
    assert back == there
    with first.database.write() as session:  # numbers go on after the restored ones
        lease = attempts.claim(session, "job_queued", "worker-1", 60)
        attempts.finish(session, lease, JobStatus.SUCCEEDED)


@SQLITE
def test_what_goes_while_it_is_read_is_left_out_and_named(full, empty, tmp_path, monkeypatch):
    """Between the rows and the files the service goes on working."""
    from service.backup import create

    ended = [row for row in rows(full, Checkpoint) if row.step < 30]
    running = [row for row in rows(full, Checkpoint) if row.step >= 30]

    class Held(create._Snapshot):
        def hold(self, stack):
            super().hold(stack)
            folder = full.settings.artifacts_folder
            (folder / ended[0].path / "state.pt").unlink()
            (folder / ended[1].path / "state.pt").write_bytes(b"something else")
            for file in (folder / running[0].path).iterdir():
                file.unlink()  # the training prunes it
            with (folder / f"jobs/{running[0].job_id}/train.log").open("a") as log:
                log.write("one line more\n")

    monkeypatch.setattr(create, "_Snapshot", Held)
    made = backup(full.settings, tmp_path / "backup.tar")
    assert len(made.left_out) == 2
    assert "it was removed" in made.left_out[0]
    assert "sha256 is not the recorded one" in made.left_out[1]
    restore(empty.settings, tmp_path / "backup.tar")
    kept = {(row.job_id, row.step) for row in rows(empty, Checkpoint)}
    assert kept == {(row.job_id, row.step) for row in (*ended[2:], *running)}
    for row in rows(empty, Checkpoint):
        for name in (*row.files, "meta.json"):
            assert (empty.settings.artifacts_folder / row.path / name).exists()


@SQLITE
def test_a_backup_can_leave_checkpoints_and_uploads_out(full, empty, tmp_path):
    made = backup(full.settings, tmp_path / "backup.tar", checkpoints=False, uploads=False)
    assert made.rows["checkpoints"] == 0
    restore(empty.settings, tmp_path / "backup.tar")
    kept = {path.rpartition("/")[2] for path in empty.files()}
    assert kept == {"encoder.safetensors", "train.log"}


@SQLITE
def test_what_is_there_is_named_and_kept(full, empty, tmp_path):
    archive = tmp_path / "backup.tar"
    backup(full.settings, archive)
    empty.add_job(10, status=JobStatus.SUCCEEDED)
    before, files = empty.tables(tmp_path), empty.files()
    with pytest.raises(BackupError, match="1 rows in the table jobs") as error:
        restore(empty.settings, archive)
    assert f"1 entries in {empty.settings.artifacts_folder}/jobs" in str(error.value)
    assert (empty.tables(tmp_path), empty.files()) == (before, files)
    restore(empty.settings, archive, replace=True)
    assert {row.id for row in rows(empty, Job)} == {row.id for row in rows(full, Job)}


def damage(archive, how):
    content = bytearray(archive.read_bytes())
    if how == "torn":
        del content[len(content) * 2 // 3 :]
    elif how == "without its end":
        del content[-4096:]
    elif how == "changed":
        content[content.index(b"the result")] ^= 1
    elif how == "empty":
        content.clear()
    archive.write_bytes(content)


@SQLITE
@pytest.mark.parametrize("how", ["torn", "without its end", "changed", "empty"])
def test_a_damaged_archive_is_refused_and_nothing_changes(full, empty, tmp_path, how):
    archive = tmp_path / "backup.tar"
    backup(full.settings, archive)
    read(archive)
    damage(archive, how)
    for attempt in (lambda: read(archive), lambda: restore(empty.settings, archive)):
        with pytest.raises(BackupError):
            attempt()
    assert rows(empty, Job) == []
    left = [p.name for p in empty.settings.home.rglob("*")]
    assert set(left) <= {"artifacts", "jobs", "uploads"}


@SQLITE
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("files/../../outside", tarfile.REGTYPE),
        ("/etc/outside", tarfile.REGTYPE),
        ("files/artifacts/jobs/../../outside", tarfile.REGTYPE),
        ("files/artifacts/jobs/j/link", tarfile.SYMTYPE),
        ("files/artifacts/jobs/.restore/x", tarfile.REGTYPE),
        ("files/other", tarfile.REGTYPE),
    ],
)
def test_a_crafted_archive_is_refused(full, empty, tmp_path, name, kind):
    backup(full.settings, tmp_path / "backup.tar")
    crafted = tmp_path / "crafted.tar"
    with tarfile.open(tmp_path / "backup.tar") as source, tarfile.open(crafted, "w") as target:
        for number, member in enumerate(source):
            target.addfile(member, source.extractfile(member))
            if number == 0:
                evil = tarfile.TarInfo(name)
                evil.type, evil.linkname = kind, "/etc/passwd"
                target.addfile(evil)
    with pytest.raises(BackupError, match="no backup"):
        restore(empty.settings, crafted)
    assert not list(tmp_path.rglob("outside*"))


@SQLITE
def test_a_backup_of_a_newer_version_is_refused(full, empty, tmp_path, next_version):
    next_version.upgrade(full.settings.database_url)
    backup(full.settings, tmp_path / "backup.tar")
    with pytest.raises(BackupError, match=r"revision 9999; .* update it first"):
        restore(empty.settings, tmp_path / "backup.tar")
    assert rows(empty, Job) == []


@SQLITE
def test_a_database_of_a_newer_version_is_left_alone(full, empty, tmp_path, next_version):
    backup(full.settings, tmp_path / "backup.tar")
    next_version.upgrade(empty.settings.database_url)
    for replace in (False, True):
        with pytest.raises(BackupError, match="at revision 9999"):
            restore(empty.settings, tmp_path / "backup.tar", replace=replace)
    assert rows(empty, Checkpoint) == []


@contextmanager
def full_disk(at):
    """Let no file of this process grow beyond `at` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (at, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@SQLITE
def test_a_full_disk_leaves_neither_half_an_archive_nor_half_a_service(full, empty, tmp_path):
    full.write(f"jobs/{rows(full, Job)[0].id}/large", os.urandom(2_000_000))
    archive = tmp_path / "new" / "backup.tar"
    archive.parent.mkdir()
    with full_disk(1_000_000), pytest.raises(BackupError, match="File too large"):
        backup(full.settings, archive)
    assert list(archive.parent.iterdir()) == []
    backup(full.settings, archive)
    with full_disk(1_000_000), pytest.raises(BackupError, match="File too large"):
        restore(empty.settings, archive)
    assert rows(empty, Job) == []
    assert empty.files() == {}
    restore(empty.settings, archive)


@SQLITE
def test_an_error_at_the_end_puts_the_files_back(full, empty, tmp_path, monkeypatch):
    backup(full.settings, tmp_path / "backup.tar")
    restore(empty.settings, tmp_path / "backup.tar")
    before, files = empty.tables(tmp_path), empty.files()
    for name, content in files.items():
        if name.endswith("train.log"):
            full.write(name.removeprefix("artifacts/"), content + b"more")
    backup(full.settings, tmp_path / "backup.tar")
    from service.backup import restore as module

    real, done = module._put, []

    def put(*arguments):
        if len(done) == 3:
            raise OSError("on purpose")
        done.append(real(*arguments))

    monkeypatch.setattr(module, "_put", put)
    with pytest.raises(BackupError, match="on purpose"):
        restore(empty.settings, tmp_path / "backup.tar", replace=True)
    assert (empty.tables(tmp_path), empty.files()) == (before, files)


@SQLITE
def test_the_checksums_are_those_of_the_rows(full, tmp_path):
    backup(full.settings, tmp_path / "backup.tar")
    about, sums = read(tmp_path / "backup.tar")
    assert about.revision == migrate.latest_revision()
    with tarfile.open(tmp_path / "backup.tar") as tar:
        lines = tar.extractfile("tables/jobs.jsonl").read().splitlines()
    assert len([json.loads(line) for line in lines]) == sums.rows["jobs"] == 3


def test_without_a_service_there_is_nothing_to_save(make_service, empty_database_url, tmp_path):
    service = make_service("nobody", empty_database_url)
    with pytest.raises(BackupError, match=r"there is nothing to save|there is no database"):
        backup(service.settings, tmp_path / "backup.tar")
    assert not (tmp_path / "backup.tar").exists()
    assert not (tmp_path / "paka.db").exists()
    with pytest.raises(BackupError, match=r"there is no .*none\.tar"):
        restore(service.settings, tmp_path / "none.tar")


def test_files_are_not_restored_beside_a_bucket_in_which_nobody_would_find_them(
    full, empty, tmp_path
):
    backup(full.settings, tmp_path / "paka.tar")
    beside = empty.settings.model_copy(update={"artifacts_url": "s3://lab/prefix"})
    with pytest.raises(BackupError, match="restore without it, then copy"):
        restore(beside, tmp_path / "paka.tar")
    assert rows(empty, Job) == []


def test_what_is_in_a_bucket_stays_there_and_all_rows_are_saved(full, empty, tmp_path):
    full.settings = full.settings.model_copy(update={"artifacts_url": "s3://lab/prefix"})
    archive = tmp_path / "paka.tar"
    made = backup(full.settings, archive)
    assert made.left_out == []
    with pytest.raises(BackupError, match="set PAKA_ARTIFACTS_URL"):
        restore(empty.settings, archive)
    empty.settings = empty.settings.model_copy(update={"artifacts_url": "s3://lab/prefix"})
    restore(empty.settings, archive)
    for table in (Checkpoint, Encoder):
        assert len(rows(empty, table)) == len(rows(full, table)) > 0
    assert not (empty.settings.artifacts_folder / "jobs").exists()
    assert (empty.settings.uploads_folder / "birds").is_dir()
