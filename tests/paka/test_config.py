import subprocess
import sys

import pytest
from pydantic import ValidationError

from paka.config import EncoderConfig, LossConfig, TrainConfig
from paka.errors import ConfigError
from paka.presets import PRESETS, merge, resolve


def problems(**fields):
    with pytest.raises(ValidationError) as caught:
        TrainConfig.model_validate({"dataset": "/data", **fields})
    return str(caught.value)


def test_encoder_takes_the_short_form():
    assert EncoderConfig.model_validate("test_vit@random") == EncoderConfig(
        architecture="test_vit", weights="random"
    )
    assert EncoderConfig.model_validate("vit_tiny_patch16_224").weights == "pretrained"


@pytest.mark.parametrize("reference", ["test_vit@random", "test_vit", "test_vit@/a@b.pth"])
def test_encoder_reference_round_trips(reference):
    assert EncoderConfig.model_validate(reference).reference == reference


def test_unknown_architecture_names_near_ones():
    assert "vit_small_patch14_dinov2" in problems(encoder="vit_small_patch14_dinov2x@random")


def test_unknown_field_is_an_error():
    assert "Extra inputs" in problems(lerning_rate=1)
    assert "Extra inputs" in problems(optim={"lr": 1})


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [
        ("optim", "batch_size", 0),
        ("optim", "lr_encoder", -1),
        ("views", "containment", 1.1),
        ("views", "global_scale", (0.5, 0.2)),
        ("views", "local_scale", (0.0, 0.2)),
        ("runtime", "seed", -1),
        ("teacher", "momentum", 1.5),
        ("loss", "grid", 1),
    ],
)
def test_a_value_out_of_range_is_named(section, field, value):
    assert field in problems(**{section: {field: value}})


def test_sizes_must_fit_the_patch_size_and_the_nearest_is_named():
    message = problems(encoder="test_vit@random", views={"global_size": 230})
    assert "views.global_size" in message
    assert "224" in message


@pytest.mark.parametrize(
    ("architecture", "size"),
    [
        ("vit_small_patch14_dinov2", 98),
        ("vit_base_patch16_224", 96),
        ("vit_small_patch8_224", 96),
        ("vit_base_patch32_224", 96),
    ],
)
def test_local_size_follows_the_patch_size(architecture, size):
    config = TrainConfig.model_validate(
        {"encoder": f"{architecture}@random", "dataset": "/data", "loss": {"grid": None}}
    )
    assert config.local_size == size
    assert config.grid == size // config.encoder.facts.patch_size


@pytest.mark.parametrize("field", [{"kernel": "rbf"}, {"alignment": "frobenius"}])
@pytest.mark.parametrize("objective", ["cosine", "gram"])
def test_only_the_paka_objective_has_a_kernel_and_an_alignment(objective, field):
    message = problems(loss={"objective": objective, **field})
    assert f"{next(iter(field))}: " in message
    assert f"{objective} has no {next(iter(field))}" in message
    assert LossConfig.model_validate({"objective": objective}).grid == 7


def test_batch_must_divide_among_processes_and_accumulation():
    message = problems(optim={"batch_size": 6, "accumulate": 2}, runtime={"processes": 2})
    assert "multiple of" in message


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_valid(name):
    assert resolve({"dataset": "/data"}, name).dataset == "/data"


@pytest.mark.parametrize("encoder", ["vit_base_patch16_224@random", "vit_small_patch8_224.dino"])
def test_the_light_preset_fits_other_patch_sizes(encoder):
    assert resolve({"dataset": "/data", "encoder": encoder}, "light").local_size == 96


def test_own_values_are_laid_over_the_preset_section_by_section():
    config = resolve({"dataset": "/data", "optim": {"max_steps": 5}}, "tiny")
    assert config.optim.max_steps == 5
    assert config.optim.lr_encoder == PRESETS["tiny"]["optim"]["lr_encoder"]


def test_own_encoder_replaces_the_presets_with_its_weights():
    config = resolve({"dataset": "/data", "encoder": {"architecture": "test_vit"}}, "tiny")
    assert config.encoder.weights == "pretrained"


def test_unknown_preset_names_the_known_ones():
    with pytest.raises(ConfigError, match="light, paper, tiny"):
        resolve({"dataset": "/data"}, "huge")


def test_merge_changes_neither_side():
    base, over = {"a": {"b": 1}}, {"a": {"c": 2}}
    assert merge(base, over) == {"a": {"b": 1, "c": 2}}
    assert base == {"a": {"b": 1}}
    assert over == {"a": {"c": 2}}


def test_cuda_graphs_need_compiled_encoders():
    with pytest.raises(ValidationError, match=r"cuda_graphs: true needs runtime\.compile"):
        resolve({"dataset": "/data", "runtime": {"cuda_graphs": True}}, "tiny")
    both = {"cuda_graphs": True, "compile": True}
    assert resolve({"dataset": "/data", "runtime": both}, "tiny").runtime.cuda_graphs
    with pytest.raises(ValidationError, match=r"auto_batch: true does not go with"):
        resolve({"dataset": "/data", "runtime": {**both, "auto_batch": True}}, "tiny")


def test_json_round_trip_is_exact():
    config = resolve({"dataset": "/data"}, "paper")
    assert TrainConfig.model_validate_json(config.model_dump_json()) == config


def test_settings_are_read_without_torch():
    code = "import sys, paka.presets; sys.exit('torch' in sys.modules or 'timm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    ("epochs", "max_steps", "images", "steps"),
    [(1, None, 10, 3), (2, None, 10, 5), (2, 4, 10, 4), (0.1, None, 3, 1), (2, 9, 10, 5)],
)
def test_total_steps(small_config, epochs, max_steps, images, steps):
    optim = {"epochs": epochs, "max_steps": max_steps, "batch_size": 4}
    assert small_config(optim=optim).total_steps(images) == steps
