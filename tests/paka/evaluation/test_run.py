"""Whole evaluations of small encoders on a handful of images."""

import json
import shutil

import numpy as np
import pytest

from paka.encoder import DenseEncoder
from paka.evaluation.config import EvaluateConfig
from paka.evaluation.in_context import in_context_miou
from paka.evaluation.meter import Stopped
from paka.evaluation.report_schema import Report
from paka.evaluation.run import Evaluation
from paka.process import StopFlag
from paka.run_folder import RunFolder
from paka.weights import save_weights

SMALL = {
    "size": 64,
    "seeds": [0, 1],
    "in_context": {"k": 3},
    "linear": {"epochs": 2},
    "overclustering": {"clusters": [4]},
    "knn": {"k": 3},
    "runtime": {"device": "cpu", "workers": 0},
}


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    """A base, and the same with its weights slightly disturbed."""
    vit, random = DenseEncoder("test_vit", "random").vit, np.random.default_rng(0)
    for parameter in vit.parameters():
        parameter.data += 0.05 * parameter.new_tensor(random.standard_normal(parameter.shape))
    path = tmp_path_factory.mktemp("weights") / "other.safetensors"
    save_weights(vit, path)
    return ["test_vit@random", f"test_vit@{path}"]


@pytest.fixture(scope="module")
def config(encoders, labelled):
    """Returns the small evaluation's settings with others laid over them."""

    def make(**over):
        settings = {**SMALL, "encoders": encoders, "dataset": str(labelled), **over}
        return EvaluateConfig.model_validate(settings)

    return make


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
    """The folder of a whole evaluation, and its report."""
    folder = tmp_path_factory.mktemp("finished")
    return folder, Evaluation(config(), RunFolder(folder)).run()


def test_every_protocol_gives_its_metrics_for_every_encoder(finished):
    _, report = finished
    metrics = [(r.protocol, r.metric) for r in report.results if r.encoder == "other"]
    assert metrics == [
        ("in_context", "miou"),
        ("in_context", "miou_strict"),
        ("linear", "miou"),
        ("overclustering", "miou_hungarian_4"),
        ("overclustering", "miou_many_to_one_4"),
        ("knn", "balanced_accuracy"),
        ("probes", "effective_rank"),
        ("probes", "cka_to_base"),
        ("probes", "view_agreement"),
        ("probes", "neighbour_consistency"),
    ]
    assert [len(report.find("other", *metric).per_seed) for metric in metrics[:4]] == [1, 1, 2, 2]
    for result in report.results:
        assert (result.difference is None) == (result.encoder == "test_vit@random")
        if result.protocol != "probes":
            assert 0 <= result.low <= result.value <= result.high <= 1


def test_in_context_values_are_those_of_the_protocol_itself(finished, config):
    folder, report = finished
    evaluation = Evaluation(
        config(encoders=["test_vit@random"]), RunFolder(folder.parent / "again")
    )
    encoder = evaluation._load(0)
    quiet = {"progress": lambda done, total: None}
    train, val = (
        evaluation._inputs(encoder, split, **quiet) for split in (evaluation.train, evaluation.val)
    )
    arrays = (train.patch_tokens, train.masks, val.patch_tokens, val.masks)
    strict = {"ignored": "leave_out", "matching": "identity", "absent": "skip"}
    for metric, conventions in (("miou", {}), ("miou_strict", strict)):
        expected = in_context_miou(*arrays, num_classes=4, k=3, **conventions)
        found = report.find("test_vit@random", "in_context", metric)
        assert found.value == pytest.approx(expected)
    assert found.per_class[3] is None  # no image shows a bird


def test_the_files_say_what_the_report_says(finished):
    folder, report = finished
    assert Report.model_validate_json((folder / "report.json").read_text()) == report
    table = (folder / "report.md").read_text()
    value = report.find("other", "linear", "miou")
    assert "| linear mIoU |" in table
    assert f"{100 * value.value:.1f} ± {50 * (value.high - value.low):.1f}" in table
    rows = RunFolder(folder).read_metrics()
    assert rows[-1]["step"] == rows[-1]["total_steps"] == 100 * 2 * (1 + 1 + 2 + 2 + 1 + 1)
    assert not (folder / "features").exists()


@pytest.mark.parametrize("after", [4, 9])
def test_an_interrupted_evaluation_goes_on_and_finds_the_same(config, finished, tmp_path, after):
    """Stopped at its `after`-th finding; what was found is not measured again."""
    _, whole = finished
    run, stop, saved = RunFolder(tmp_path / "run"), StopFlag(), []
    evaluation = Evaluation(config(), run, stop)
    begin = evaluation.meter.begin

    def count(encoder, part):
        saved.append(part)
        if len(saved) > after:
            stop.set()
        begin(encoder, part)

    evaluation.meter.begin = count
    with pytest.raises(Stopped):
        evaluation.run()
    assert not (run.path / "report.json").exists()
    there = {path: path.stat().st_mtime_ns for path in (run.path / "findings").glob("*")}
    resumed = Evaluation(config(), run).run()
    assert {path: path.stat().st_mtime_ns for path in there} == there
    assert resumed.results == whole.results
    steps = [row["step"] for row in run.read_metrics()]
    assert steps == sorted(set(steps))
    assert steps[-1] == 1600


def test_a_changed_image_makes_its_findings_anew(config, labelled, tmp_path):
    copy = shutil.copytree(labelled, tmp_path / "copy")
    asked = config(dataset=str(copy), protocols=["knn"], encoders=["test_vit@random"])
    run = RunFolder(tmp_path / "run")
    Evaluation(asked, run).run()
    shutil.copy(copy / "images/val/0.png", copy / "images/val/1.png")
    Evaluation(asked, run).run()
    assert len(list((run.path / "findings").iterdir())) == 2


def test_a_shared_cache_spares_the_second_evaluation_the_encoder(config, tmp_path, monkeypatch):
    given = {"cache": str(tmp_path / "cache"), "encoders": ["test_vit@random"]}
    first = config(**given, protocols=["knn"])
    Evaluation(first, RunFolder(tmp_path / "one")).run()

    def refuse(self, images, *_):
        raise AssertionError("the features are there")

    monkeypatch.setattr(DenseEncoder, "forward", refuse)
    second = config(**given, protocols=["in_context"])
    report = Evaluation(second, RunFolder(tmp_path / "two")).run()
    assert report.find("test_vit@random", "in_context", "miou").value > 0


def test_encoders_of_other_patch_sizes_are_compared_where_they_can_be(config, tmp_path):
    asked = config(
        encoders=["test_vit@random", "vit_small_patch32_224@random"],
        protocols=["probes"],
    )
    report = Evaluation(asked, RunFolder(tmp_path)).run()
    of_other = [r.metric for r in report.results if r.encoder == "vit_small_patch32_224@random"]
    assert of_other == ["effective_rank", "view_agreement"]
    line = next(line for line in (tmp_path / "report.md").read_text().splitlines() if "cka" in line)
    assert line.endswith("|  |")


def test_image_classes_are_used_where_there_are_some(config, labelled, tmp_path):
    copy = shutil.copytree(labelled, tmp_path / "copy")
    images = [("train", number) for number in range(6)] + [("val", number) for number in range(4)]
    rows = [f"{split},{number},{number % 2}" for split, number in images]
    (copy / "labels.csv").write_text("\n".join(["split,image,label", *rows]) + "\n")
    report = Evaluation(
        config(dataset=str(copy), protocols=["knn"]), RunFolder(tmp_path / "run")
    ).run()
    assert {result.metric for result in report.results} == {"accuracy"}


def test_what_is_not_defined_is_noted_and_left_out(config, labelled, tmp_path):
    copy = shutil.copytree(labelled, tmp_path / "copy")
    mask = (copy / "masks/train/1.png").read_bytes()
    for file in (copy / "masks").glob("*/*.png"):
        file.write_bytes(mask)
    asked = config(dataset=str(copy), protocols=["in_context", "knn"])
    report = Evaluation(asked, RunFolder(tmp_path / "run")).run()
    assert {result.protocol for result in report.results} == {"in_context"}
    assert "k-NN balanced accuracy is not defined" in report.notes[0]
    assert report.notes[0] in (tmp_path / "run/report.md").read_text()
    json.loads((tmp_path / "run/report.json").read_text(), parse_constant=pytest.fail)
