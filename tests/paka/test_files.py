import pytest

from paka.files import read_json, replacing, replacing_folder, write_json


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
