from collections import namedtuple
from pathlib import Path

import pytest

from paka.doctor import machine
from paka.doctor.finding import Level, Request

Usage = namedtuple("Usage", "total used free")
MEMORY = "MemTotal:       16000000 kB\nMemFree: 1 kB\nMemAvailable:   {} kB\n"


def test_everything_is_looked_at():
    names = [finding.check for finding in machine.check(Request())]
    assert names == ["processor", "memory", "disk", "shared memory", "open files", "C compiler"]


@pytest.mark.parametrize(
    ("wanted", "level"), [(None, Level.OK), ("2", Level.OK), ("3", Level.WARNING)]
)
def test_more_threads_than_cores_are_a_warning(wanted, level):
    found = machine.threads(wanted, 2)
    assert found.level is level
    assert ("export OMP_NUM_THREADS=2" in found.remedy) is (level is Level.WARNING)


@pytest.mark.parametrize(
    ("available", "limit", "shown", "level"),
    [
        (8_000_000, "max", "8.19 GB free of 16.4 GB", Level.OK),
        (1_000_000, "max", "1.02 GB free of 16.4 GB", Level.WARNING),
        (8_000_000, "2000000000", "2 GB free of 2 GB", Level.WARNING),  # the container's limit
    ],
)
def test_memory_is_what_kernel_and_container_leave(tmp_path, available, limit, shown, level):
    (tmp_path / "meminfo").write_text(MEMORY.format(available))
    (tmp_path / "max").write_text(limit)
    found = machine.memory(tmp_path / "meminfo", tmp_path / "max")
    assert (found.found, found.level) == (shown, level)


@pytest.mark.parametrize(
    ("free", "level"), [(10**8, Level.PROBLEM), (5 * 10**9, Level.WARNING), (10**11, Level.OK)]
)
def test_a_full_disk_is_told(monkeypatch, tmp_path, free, level):
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: Usage(10**12, 0, free))
    assert machine.disk(tmp_path).level is level


@pytest.fixture
def small_shm(mount_tmpfs, tmp_path):
    """A file system of 64 MB, as Docker gives to a container."""
    return mount_tmpfs(tmp_path / "shm", "size=64m")


def test_dockers_shared_memory_is_too_small(small_shm):
    found = machine.shared_memory(small_shm)
    assert found.level is Level.PROBLEM
    assert "67.1 MB" in found.found
    assert "--shm-size=8g" in found.remedy


def test_shared_memory_may_be_missing_or_tight(monkeypatch, tmp_path):
    assert machine.shared_memory(tmp_path / "none").level is Level.NOT_APPLICABLE
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: Usage(5 * 10**8, 0, 0))
    assert machine.shared_memory(tmp_path).level is Level.WARNING


def test_few_open_files_are_a_warning():
    assert machine.open_files(256).level is Level.WARNING
    assert machine.open_files(1024).level is machine.open_files(-1).level is Level.OK


def test_a_compiler_needs_pythons_headers(tmp_path, monkeypatch):
    assert machine.compiler("no-such-compiler", tmp_path).level is Level.WARNING
    (tmp_path / "cc").write_text("#!/bin/sh\n")
    (tmp_path / "cc").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = machine.compiler(None, tmp_path)
    assert (found.level, found.remedy) == (Level.WARNING, "apt install python3-dev")
    (tmp_path / "Python.h").touch()
    assert machine.compiler(None, tmp_path).found == str(tmp_path / "cc")
    (tmp_path / "cc").unlink()
    assert machine.compiler(None, tmp_path).found.startswith("none")


def test_the_working_folder_is_the_one_that_is_looked_at(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (found,) = (f for f in machine.check(Request()) if f.check == "disk")
    assert str(Path.cwd()) in found.found
    assert list(tmp_path.iterdir()) == []
