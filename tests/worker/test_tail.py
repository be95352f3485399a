import json

from worker.tail import JsonLines


def write(path, text, mode="a"):
    with path.open(mode) as file:
        file.write(text)


def test_each_line_is_returned_once(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = JsonLines(path)
    assert lines.read() == []
    write(path, '{"step": 1}\n{"step": 2}\n')
    assert lines.read() == [{"step": 1}, {"step": 2}]
    assert lines.read() == []
    write(path, '{"step": 3}\n')
    assert lines.read() == [{"step": 3}]


def test_a_torn_line_waits_for_its_end(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = JsonLines(path)
    write(path, '{"step": 1}\n{"st')
    assert lines.read() == [{"step": 1}]
    assert lines.read() == []
    write(path, 'ep": 2}\n')
    assert lines.read() == [{"step": 2}]


def test_a_replaced_file_is_read_from_its_start(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = JsonLines(path)
    write(path, '{"step": 1}\n{"step": 2}\n')
    lines.read()
    other = tmp_path / "other"
    write(other, "".join(json.dumps({"step": s}) + "\n" for s in (1, 5, 6)))
    other.replace(path)
    assert lines.read() == [{"step": 1}, {"step": 5}, {"step": 6}]


def test_a_shortened_file_is_read_from_its_start(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = JsonLines(path)
    write(path, '{"step": 1}\n{"step": 2}\n')
    lines.read()
    write(path, '{"step": 9}\n', "w")
    assert lines.read() == [{"step": 9}]
