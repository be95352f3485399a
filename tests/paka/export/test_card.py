import json

import pytest
import yaml
from PIL import Image

from paka.config import TrainConfig
from paka.errors import DataError, ExportError
from paka.evaluation.report_schema import Report
from paka.export import card
from paka.export.card import About
from paka.export.checks import Check
from paka.export.run_facts import read_run
from paka.files import write_json
from paka.run_folder import RunFolder

CHECKS = [Check("huggingface", "patch tokens", (2, 160, 160), 0.0, 1e-6)]
REPORT = {
    "dataset": "streets",
    "layout": "plain",
    "size": 160,
    "train_images": 6,
    "val_images": 4,
    "classes": ["sky", "road"],
    "settings": {"dataset": "/secret/labelled/streets", "protocols": ["in_context"], "seeds": [0]},
    "encoders": [
        {"name": name, "reference": f"test_vit@/secret/{name}", "weights_sha256": "0" * 64}
        for name in ("before", "/secret/after.pth")
    ],
    "results": [
        {
            "encoder": "/secret/after.pth",
            "protocol": "in_context",
            "metric": "miou",
            "unit": "share",
            "value": 0.41,
            "low": 0.39,
            "high": 0.43,
            "per_seed": [0.41],
            "difference": {"value": 0.02, "low": 0.01, "high": 0.03},
        }
    ],
    "seconds": [],
    "versions": {},
    "created_at": "2026-11-23T10:12:00Z",
}


@pytest.fixture
def run(small_config, tmp_path):
    """A run's folder with all its files, on data whose place is nobody's business."""
    run = RunFolder(tmp_path / "secret-run")
    run.path.mkdir()
    config = small_config(dataset="/secret/data/photos", optim={"lr_encoder": 0.002})
    write_json(run.config, config.model_dump(mode="json"))
    run.append_metrics({"step": 0, "total_steps": 12, "probe_effective_rank": 61.3})
    for step in range(1, 13):
        run.append_metrics(
            {"step": step, "total_steps": 12, "loss": 1 / step, "images_per_second": 40.0}
        )
    run.append_metrics({"step": 12, "total_steps": 12, "probe_effective_rank": 70.1})
    run.skipped.write_text(json.dumps({"image": "a.jpg", "reason": "cut short"}) + "\n")
    run.final.mkdir()
    write_json(run.final / "meta.json", {"images": 1234, "device": "NVIDIA H100"})
    run.evaluation.mkdir()
    (run.evaluation / "report.json").write_text(json.dumps(REPORT))
    return run


def write(encoder, folder, **about):
    folder.mkdir(exist_ok=True)
    card.write(encoder, folder, About(**about), CHECKS)
    return (folder / "README.md").read_text()


def test_a_card_tells_of_the_run_and_of_no_place_on_the_labs_machine(small, run, tmp_path):
    text = write(small, tmp_path / "out", title="our-encoder", run=run.path, license="mit")
    assert text.startswith("---\n")
    front = yaml.safe_load(text.split("---")[1])
    assert front["library_name"] == "timm"
    assert front["license"] == "mit"
    assert front["pipeline_tag"] == "image-feature-extraction"
    assert "base_model" not in front
    for words in (
        "# our-encoder",
        "https://arxiv.org/abs/2509.05606",
        "`photos`: 1,234 images, without labels. 1 of them could not be read.",
        "| loss | 1.0000 at step 1, 0.0833 at the end |",
        "| steps | 12 of 12 |",
        "| device | NVIDIA H100 |",
        "| effective rank | 61.3 before, 70.1 after |",
        "| in-context mIoU |  | 41.0 ± 2.0 (**+2.0 ± 1.0**) |",
        "| `optim.lr_encoder` | `1e-05` | `0.002` |",
        "lr_encoder: 0.002",
        "| huggingface | patch tokens | 2 x 160 x 160 | 0 |",
        "![Loss, learning rates and throughput over the steps](loss.png)",
    ):
        assert words in text
    assert "secret" not in text
    assert str(tmp_path) not in text
    with Image.open(tmp_path / "out" / "loss.png") as picture:
        assert picture.width > 500
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["README.md", "loss.png"]


def test_of_a_checkpoint_is_said_what_was_known_at_its_step(small, run, tmp_path):
    write_json(run.final / "meta.json", {"step": 12, "images": 1234, "device": "NVIDIA H100"})
    text = write(small, tmp_path / "out", run=run.path, step=6)
    assert "| steps | 6 of 12 |" in text
    assert "0.1667 at the end" in text
    assert "in-context" not in text
    assert "in-context" in write(small, tmp_path / "last", run=run.path, step=12)


@pytest.mark.parametrize("objective", ["paka", "cosine", "gram"])
def test_each_objective_is_described_by_itself(objective, small, run, tmp_path):
    config = json.loads(run.config.read_text())
    config["loss"]["objective"] = objective
    write_json(run.config, config)
    text = write(small, tmp_path / "out", run=run.path)
    assert ("relate its patches to each other" in text) == (objective == "paka")
    assert ("Gram anchoring" in text) == (objective == "gram")
    assert ("distillation" in text) == (objective == "cosine")


def test_the_files_of_a_job_of_the_service_serve_as_well(small, run, tmp_path):
    job = tmp_path / "job"
    job.mkdir()
    config = json.loads(run.config.read_text())
    write_json(job / "job.json", {"config": config, "skipped": {"count": 1, "images": []}})
    (job / "report.json").write_text(Report.model_validate(REPORT).model_dump_json())
    rows = run.read_metrics()
    write_json(job / "metrics.json", {"data": rows[:9], "has_more": True})
    with pytest.raises(ExportError, match=r"end at step 8, .*after_step=8 into metrics-2\.json"):
        write(small, tmp_path / "out", run=job)
    write_json(job / "metrics-2.json", {"data": rows[9:], "has_more": False})
    text = write(small, tmp_path / "out", run=job)
    assert "`photos`, without labels. 1 of them could not be read." in text
    assert "0.0833 at the end" in text
    assert "## Evaluation on streets" in text


def test_published_weights_are_named_as_what_it_was_made_from(small, run, tmp_path):
    config = json.loads(run.config.read_text())
    config["encoder"] = {"architecture": "vit_small_patch14_reg4_dinov2.lvd142m"}
    config["views"] |= {"global_size": 70, "local_size": 28}
    write_json(run.config, TrainConfig.model_validate(config).model_dump(mode="json"))
    text = write(small, tmp_path / "out", run=run.path, repository="lab/encoder")
    front = yaml.safe_load(text.split("---")[1])
    assert front["base_model"] == "timm/vit_small_patch14_reg4_dinov2.lvd142m"
    assert front["base_model_relation"] == "finetune"
    assert '"hf-hub:lab/encoder"' in text
    assert "Nothing was stated for these weights. The weights that it began with are" in text


def test_the_features_of_images_that_are_given_are_shown(small, run, photos, tmp_path):
    images = (photos / "chelsea.jpg",)
    text = write(small, tmp_path / "out", run=run.path, images=images)
    assert "patch features before and after post-training](features.png)" in text
    with Image.open(tmp_path / "out" / "features.png") as picture:
        three = picture.width
    text = write(small, tmp_path / "out", images=images)
    assert "patch features after post-training](features.png)" in text
    with Image.open(tmp_path / "out" / "features.png") as picture:
        assert picture.width < 0.7 * three


def test_an_encoder_without_a_run_has_a_short_card(small, tmp_path):
    text = write(small, tmp_path / "out")
    assert "## Use" in text
    for section in ("Data", "Training", "Settings", "Evaluation"):
        assert f"## {section}" not in text


def test_a_folder_without_a_run_and_an_image_that_is_none_are_errors(small, tmp_path):
    with pytest.raises(ExportError, match="holds no run"):
        write(small, tmp_path / "out", run=tmp_path)
    (tmp_path / "config.json").write_text('{"odd": 1}')
    with pytest.raises(ExportError, match="cannot be used"):
        write(small, tmp_path / "out", run=tmp_path)
    with pytest.raises(DataError):
        write(small, tmp_path / "out", images=(tmp_path / "config.json",))


def test_a_job_that_was_no_training_is_named_in_one_sentence(tmp_path):
    (tmp_path / "job.json").write_text('{"config": {"dataset": "photos", "batch_size": 32}}')
    with pytest.raises(ExportError, match=r"batch_size: .*; are they those of a training\?$"):
        read_run(tmp_path)
