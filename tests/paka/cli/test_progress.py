import json

from rich.console import Console

from paka.cli.progress import _Lines, display, last_row, time_left


def test_the_last_row_is_the_last_complete_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert last_row(path) is None
    path.write_text("")
    assert last_row(path) is None
    rows = [{"step": step, "filler": "x" * 300} for step in range(100)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 100, "fil')
    assert last_row(path) == rows[-1]


def test_time_left_is_hours_minutes_seconds():
    assert time_left(3725.4) == "1:02:05 left"


def test_lines_are_few_but_the_last_is_always_there(capsys):
    with display("images") as view:
        for done in range(1, 51):
            view.update(done, 50, f"note {done}")
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["images 1/50  note 1", "images 50/50  note 50"]


def test_a_message_stands_among_the_lines(capsys):
    lines = _Lines(Console(stderr=True), "steps")
    lines.say("stopping")
    assert capsys.readouterr().err == "stopping\n"
