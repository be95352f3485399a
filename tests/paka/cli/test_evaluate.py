"""`paka evaluate` from the command line to the page."""

import re

import pytest

from paka.cli.evaluate import prepare
from paka.errors import ConfigError
from paka.evaluation.config import EvaluateConfig
from paka.evaluation.report_schema import Report

SMALL = ["--size=32", "--seeds=0", "--set=runtime={workers: 0, device: cpu}"]


def test_encoders_are_compared_in_a_table_and_on_a_page(paka, labelled, result, tmp_path):
    out = tmp_path / "eval"
    given = ["test_vit2@random", result, "--on", labelled, "--out", out, *SMALL]
    done = paka("evaluate", *given, "--protocol=in_context", "--set=in_context.k=3")
    assert done.exit_code == 0, done.output
    assert "evaluating 400/400" in done.stderr
    report = Report.model_validate_json((out / "report.json").read_text())
    assert [entry.name for entry in report.encoders] == ["test_vit2@random", result.name]
    assert report.settings.in_context.k == 3
    assert (out / "report.md").read_text() in done.stdout
    assert "| in-context mIoU, strict |" in done.stdout
    page = re.search(r"report +(\S+\.html)", done.stdout)[1]
    assert page == str(out / "report.html")


def test_a_folder_of_its_own_is_named_after_the_data_set(labelled, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = prepare(EvaluateConfig(encoders=("test_vit@random",), dataset=str(labelled)), None)
    assert folder.config.exists()
    [folder] = (tmp_path / "runs").iterdir()
    assert re.fullmatch(rf"evaluation-{labelled.name}-\d{{8}}-\d{{6}}", folder.name)


def test_a_folder_of_another_run_is_left_as_it_is(labelled, tmp_path):
    config = tmp_path / "config.json"
    config.write_text('{"encoder": {}, "views": {}}')
    settings = EvaluateConfig(encoders=("test_vit@random",), dataset=str(labelled))
    with pytest.raises(ConfigError, match=f"--out {tmp_path} holds a run of another kind"):
        prepare(settings, tmp_path)
    assert config.read_text() == '{"encoder": {}, "views": {}}'
    config.unlink()
    prepare(settings, tmp_path)
    prepare(settings, tmp_path)  # goes on there


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--size=50"], "size 50 must be a multiple of the patch size 16"),
        (["--protocol=hummingbird"], "protocols.0"),
        (["--seeds=one"], "seeds.0"),
        (
            ["--set=in_context.kk=3"],
            "no setting is called in_context.kk; did you mean in_context.k",
        ),
        (["--set=layout=coco"], "layout"),
    ],
)
def test_options_that_cannot_work_end_with_code_2(paka, labelled, tmp_path, options, message):
    out = tmp_path / "eval"
    done = paka("evaluate", "test_vit@random", "--on", labelled, "--out", out, *SMALL, *options)
    assert done.exit_code == 2
    assert message in done.output
    assert not out.exists()


def test_a_folder_without_labels_is_refused_before_anything_is_made(paka, photos, tmp_path):
    out = tmp_path / "eval"
    done = paka("evaluate", "test_vit@random", "--on", photos, "--out", out, *SMALL)
    assert done.exit_code == 1
    assert "is not laid out as a labelled data set" in done.output
    assert not out.exists()


def test_an_evaluation_that_failed_is_told_by_its_own_words(paka, labelled, tmp_path):
    out, missing = tmp_path / "eval", tmp_path / "missing.safetensors"
    done = paka("evaluate", f"test_vit@{missing}", "--on", labelled, "--out", out, *SMALL)
    assert done.exit_code == 1
    assert str(missing) in done.output
    assert f"see {out}/evaluate.log" in done.output
