from typing import get_args

from paka import export as package
from paka.cli.export import Extra, Target, run_of, step_of


def test_a_finished_run_is_exported(paka, result, tmp_path):
    done = paka("export", result, "--to", "timm", "--output", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "timm: patch tokens, 2 x 160 x 160 pixels: largest difference 0 " in done.output
    assert (tmp_path / "out" / "encoder.safetensors").exists()


def test_a_card_can_be_given_what_it_says(paka, result, photos, tmp_path):
    options = ["--license", "mit", "--picture", photos / "chelsea.jpg", "--size", 96]
    done = paka("export", result, "--to", "huggingface", "--output", tmp_path / "ours", *options)
    assert done.exit_code == 0, done.output
    text = (tmp_path / "ours" / "README.md").read_text()
    assert "license: mit" in text
    assert "# ours" in text
    assert (tmp_path / "ours" / "features.png").exists()


def test_options_that_cannot_work_are_refused(paka, result, tmp_path):
    there = ["--output", tmp_path / "out"]
    wrong = paka("export", result, "--to", "onnx", "--license", "mit", *there)
    assert wrong.exit_code == 2
    assert "are for --to huggingface" in wrong.output
    wrong = paka("export", result, "--to", "huggingface", "--license", "My License", *there)
    assert wrong.exit_code == 2
    assert "--license" in wrong.output
    assert paka("export", result, "--to", "coreml", *there).exit_code == 2
    wrong = paka("export", "test_vit2@random", "--to", "transformers", *there)
    assert wrong.exit_code == 1
    assert "transformers has no model that computes what test_vit2 does" in wrong.output
    assert list(tmp_path.iterdir()) == []


def test_the_run_behind_a_reference_is_found(tmp_path):
    run = tmp_path / "run"
    (run / "checkpoints" / "step-00000005").mkdir(parents=True)
    (run / "final").mkdir()
    (run / "config.json").write_text("{}")
    places = (run, run / "final", run / "checkpoints" / "step-00000005")
    assert [run_of(str(place)) for place in places] == [run, run, run]
    assert run_of("vit_tiny_patch16_224") is None
    assert run_of(str(tmp_path)) is None


def test_the_step_of_a_checkpoint_is_known(tmp_path):
    (tmp_path / "meta.json").write_text('{"step": 5}')
    assert step_of(str(tmp_path)) == 5
    assert step_of("vit_tiny_patch16_224") is None


def test_the_command_offers_what_the_package_has():
    assert tuple(Target) == get_args(package.Target)
    assert tuple(Extra) == get_args(package.Extra)
