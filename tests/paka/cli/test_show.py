import numpy as np
from PIL import Image

from paka.run_folder import RunFolder


def test_features_are_drawn_beside_the_image_for_every_encoder(paka, photos, result, tmp_path):
    output = tmp_path / "new" / "features.png"
    encoders = [
        "--encoder",
        "test_vit@random",
        "--encoder",
        result,
        "--encoder",
        "test_vit3@random",
    ]
    images = [photos / "chelsea.jpg", photos / "astronaut.jpg"]
    done = paka("show", "features", *images, *encoders, "--size", 64, "--output", output)
    assert done.exit_code == 0, done.output
    with Image.open(output) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert pixels.shape[1] > 4 * 400
    for column in np.array_split(pixels, 4, axis=1):
        assert column.std(axis=(0, 1)).min() > 10


def test_an_unknown_kind_of_picture_is_an_error_and_leaves_nothing(paka, photos, tmp_path):
    arguments = ["--encoder", "test_vit@random", "--size", 64, "--output", tmp_path / "x.docx"]
    result = paka("show", "features", photos / "chelsea.jpg", *arguments)
    assert result.exit_code == 1
    assert "docx" in result.output
    assert not list(tmp_path.iterdir())


def test_a_picture_without_an_ending_has_no_format(paka, photos, tmp_path):
    arguments = ["--encoder", "test_vit@random", "--size", 64, "--output", tmp_path / "x"]
    result = paka("show", "features", photos / "coffee.jpg", *arguments)
    assert result.exit_code == 2
    assert f"such as {tmp_path / 'x'}.png" in result.output
    assert not list(tmp_path.iterdir())


def test_the_loss_of_a_run_is_drawn_into_its_folder(paka, tmp_path):
    run = RunFolder(tmp_path)
    run.config.write_text("{}")
    run.append_metrics({"step": 0, "probe_effective_rank": 61.3456, "probe_cka_to_base": 1.0})
    for step in range(1, 30):
        run.append_metrics({"step": step, "loss": 1 / step, "lr_head": 1e-3, "lr_encoder": 1e-4})
    run.append_metrics({"step": 30, "loss": 0.1, "probe_effective_rank": 70})
    done = paka("show", "loss", tmp_path)
    assert done.exit_code == 0
    assert "effective rank: 61.35 at step 0, 70 at step 30" in done.output
    assert "cka to base: 1 at step 0, 1 at step 0" in done.output
    with Image.open(tmp_path / "loss.png") as picture:
        assert len(picture.convert("RGB").getcolors(100_000)) > 10


def test_a_run_without_a_loss_yet_and_a_folder_without_a_run_are_errors(paka, tmp_path):
    result = paka("show", "loss", tmp_path)
    assert result.exit_code == 1
    assert "not the folder of a run" in result.output
    (tmp_path / "config.json").write_text("{}")
    result = paka("show", "loss", tmp_path)
    assert result.exit_code == 1
    assert "no loss to draw" in result.output
