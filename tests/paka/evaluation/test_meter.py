import pytest

from paka.evaluation.meter import Meter, Stopped
from paka.process import StopFlag
from paka.run_folder import RunFolder


def steps(run):
    return [row["step"] for row in run.read_metrics()]


def test_steps_only_ever_rise_and_end_at_the_total(tmp_path, monkeypatch):
    monkeypatch.setattr("paka.evaluation.meter._ROW_SECONDS", 0)
    run = RunFolder(tmp_path)
    meter = Meter(run, 2, StopFlag())
    meter.begin("a", "features")
    meter.update(1, 4)
    meter.update(1, 4)
    meter.end()
    resumed = Meter(run, 2, StopFlag())
    resumed.begin("a", "features")
    resumed.skip()
    resumed.begin("a", "knn")
    resumed.update(1, 2)
    resumed.end()
    assert steps(run) == [0, 25, 100, 150, 200]
    last = run.read_metrics()[-1]
    assert (last["encoder"], last["part"], last["total_steps"]) == ("a", "knn", 200)
    assert last["eta_seconds"] == 0


@pytest.mark.parametrize("rows", [[(200, 200)], [(40, 300)]])
def test_an_evaluation_of_other_parts_begins_its_rows_anew(tmp_path, rows):
    run = RunFolder(tmp_path)
    for step, total in rows:
        run.append_metrics({"step": step, "total_steps": total})
    Meter(run, 2, StopFlag()).begin("a", "features")
    assert steps(run) == [0]


def test_rows_come_at_most_once_a_second(tmp_path):
    meter = Meter(RunFolder(tmp_path), 1, StopFlag())
    for done in range(100):
        meter.update(done, 100)
    assert steps(meter.run) == [0]
    meter.end()
    assert steps(meter.run) == [0, 100]


def test_a_stop_is_heeded_within_a_part(tmp_path):
    stop = StopFlag()
    meter = Meter(RunFolder(tmp_path), 1, stop)
    meter.begin("a", "features")
    stop.set()
    with pytest.raises(Stopped):
        meter.update(1, 2)
