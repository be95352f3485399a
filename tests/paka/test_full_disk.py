"""Runs whose disk is full for a while: a real small one, and a real limit on file sizes."""

import resource

import pytest

from paka import saver
from paka.errors import TrainingError
from paka.files import append_json_line, is_disk_full, read_json_lines, try_append_json_line
from paka.run_folder import RunFolder
from paka.trainer import Trainer

SLACK = 64 * 1024  # for what is small, like the lines that say so


class SmallDisk:
    """A file system in memory, which a ballast fills."""

    def __init__(self, path):
        self.path = path
        self.ballast = path / "ballast"

    def fill(self):
        with self.ballast.open("wb", buffering=0) as file:
            with pytest.raises(OSError, match="No space"):
                while True:
                    file.write(bytes(SLACK))
            file.truncate(file.tell() - SLACK)

    def free(self):
        self.ballast.unlink(missing_ok=True)


class SmallFiles:
    """A limit on the size of this process's files."""

    def __init__(self, path):
        self.path = path
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self):
        resource.setrlimit(resource.RLIMIT_FSIZE, (SLACK, self.before[1]))

    def free(self):
        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)


@pytest.fixture(params=["disk", "limit"])
def small(request, mount_tmpfs, tmp_path):
    """Something with too little space, once it is told to be full."""
    path = tmp_path / "small"
    path.mkdir()
    if request.param == "limit":
        disk = SmallFiles(path)
        yield disk
        disk.free()
        return
    yield SmallDisk(mount_tmpfs(path, "size=32m"))


@pytest.fixture
def train_with(small_config, small):
    """Trains in the small place; `at` holds what is to happen after which step."""

    def train(at):
        run = RunFolder(small.path / "run")
        trainer = Trainer(small_config(), run)
        original = trainer._after_step

        def after_step():
            original()
            if trainer.step in at:
                at[trainer.step]()

        trainer._after_step = after_step
        with run.locked():
            return trainer.run()

    return train


def leftovers(folder):
    return [str(path) for path in folder.rglob(".*.tmp")]


def weights(run):
    return (run.final / "encoder.safetensors").read_bytes()


@pytest.fixture
def undisturbed(small_config, tmp_path):
    run = RunFolder(tmp_path / "undisturbed")
    Trainer(small_config(), run).run()
    return weights(run)


def test_a_run_goes_on_without_a_checkpoint_and_the_next_one_is_tried(
    train_with, small, undisturbed, monkeypatch
):
    seen = []
    assert train_with(
        {3: small.fill, 7: lambda: seen.append(leftovers(small.path)) or small.free()}
    ) == ("finished", 12, None)
    run = RunFolder(small.path / "run")
    assert seen == [[]]
    assert [path.name for path in run.checkpoints.iterdir()] == ["step-00000010"]
    [warning] = read_json_lines(run.warnings)
    assert warning["step"] == 5
    assert "no checkpoint of step 5" in warning["message"]
    assert "bytes needed" in warning["message"]
    assert weights(run) == undisturbed


def test_a_result_that_finds_no_space_is_an_error_and_a_resume_repeats_the_rest(
    train_with, small, undisturbed, monkeypatch
):
    monkeypatch.setattr(saver, "RESULT_SECONDS", 0.3)
    monkeypatch.setattr(saver, "RETRY_SECONDS", 0.1)
    needed = (
        r"cannot take the [\d,]+ bytes needed, [\d,]+ are free on its disk.*checkpoint is that "
    )
    with pytest.raises(TrainingError, match=needed + "of step 10, .*step-00000010"):
        train_with({11: small.fill})
    run = RunFolder(small.path / "run")
    assert leftovers(small.path) == []
    assert not run.final.exists()
    small.free()
    assert train_with({}) == ("finished", 12, None)
    assert weights(run) == undisturbed


def test_a_result_waits_for_space(train_with, small, undisturbed, monkeypatch):
    monkeypatch.setattr(saver, "RETRY_SECONDS", 0.1)
    monkeypatch.setattr(saver.time, "sleep", lambda _: small.free())
    assert train_with({11: small.fill}) == ("finished", 12, None)
    assert weights(RunFolder(small.path / "run")) == undisturbed


def test_a_line_that_does_not_fit_is_left_out_as_a_whole(tmp_path):
    path, limit = tmp_path / "lines", resource.getrlimit(resource.RLIMIT_FSIZE)
    append_json_line(path, {"step": 1})
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 5, limit[1]))
    try:
        with pytest.raises(OSError, match="too large") as raised:
            append_json_line(path, {"step": 2})
        try_append_json_line(path, {"step": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert is_disk_full(raised.value)
    assert path.read_text() == '{"step": 1}\n'


def test_other_errors_are_no_full_disk(tmp_path):
    with pytest.raises(OSError, match="directory") as raised:
        append_json_line(tmp_path, {})
    assert not is_disk_full(raised.value)
