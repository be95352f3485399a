import signal
import subprocess
import sys

import pytest

from paka.files import (
    append_json_line,
    read_json,
    read_json_lines,
    remove_leftovers,
    replacing,
    replacing_folder,
    share,
    write_json,
)


def test_json_round_trip_leaves_only_the_file(tmp_path):
    write_json(tmp_path / "a.json", {"x": [1, 2]})
    assert read_json(tmp_path / "a.json") == {"x": [1, 2]}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_failed_write_keeps_the_old_file_and_no_leftover(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, 1)
    with pytest.raises(RuntimeError), replacing(path) as aside:
        aside.write_text("half")
        raise RuntimeError
    assert read_json(path) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_failed_folder_is_not_there(tmp_path):
    with pytest.raises(RuntimeError), replacing_folder(tmp_path / "step") as aside:
        (aside / "file").write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_replaces_the_earlier_one(tmp_path):
    for text in ("old", "new"):
        with replacing_folder(tmp_path / "step") as aside:
            (aside / text).write_text(text)
    assert [p.name for p in (tmp_path / "step").iterdir()] == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["step"]


def test_a_file_is_shared_as_any_new_one_and_other_threads_files_stay_so(tmp_path, monkeypatch):
    new, private = tmp_path / "new", tmp_path / "private"
    new.touch()
    private.touch(0o600)
    monkeypatch.setattr("os.umask", lambda _: pytest.fail("it is that of all threads"))
    share(private)
    assert private.stat().st_mode == new.stat().st_mode


KILLED = """
import resource, signal, sys
import numpy as np
from safetensors.numpy import save_file
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
save_file({"a": np.zeros(1000)}, sys.argv[1])
"""


def test_what_a_killed_process_has_half_written_is_removed(tmp_path):
    command = [sys.executable, "-c", KILLED, tmp_path / ".features-00000.safetensors.7.tmp"]
    assert subprocess.run(command).returncode == -signal.SIGXFSZ
    assert len([*tmp_path.iterdir()]) == 1
    (tmp_path / ".step-00000005.tmp").mkdir()
    (tmp_path / "step-00000005").mkdir()
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000005"]


@pytest.mark.parametrize("torn", [b"", b'{"x": 2, "y', b"garbage"])
def test_a_line_goes_after_the_last_whole_one(tmp_path, torn):
    path = tmp_path / "lines.jsonl"
    assert read_json_lines(path) == []
    append_json_line(path, {"x": 1})
    with path.open("ab") as file:
        file.write(torn)
    assert read_json_lines(path) == [{"x": 1}]
    append_json_line(path, {"x": 3})
    assert path.read_bytes() == b'{"x": 1}\n{"x": 3}\n'
