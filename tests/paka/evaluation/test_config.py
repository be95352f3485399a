import subprocess
import sys
from typing import get_args

import pytest
from pydantic import ValidationError

from paka.config import TrainConfig
from paka.evaluation.config import EvaluateConfig, Layout, short_name
from paka.evaluation.datasets import LAYOUTS
from paka.settings import EncoderConfig

LEAST = {"encoders": ["test_vit@random"], "dataset": "/data/camvid"}


def evaluate(**over):
    return EvaluateConfig.model_validate({**LEAST, **over})


def test_a_request_needs_encoders_and_a_data_set_alone_and_survives_json():
    config = evaluate()
    assert config.protocols == ("in_context", "linear", "overclustering", "knn", "probes")
    assert (config.size, config.seeds, config.in_context.k) == (224, (0, 1, 2), 30)
    assert EvaluateConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("over", "place", "problem"),
    [
        ({"size": 100}, (), "size: size 100 must be a multiple of the patch size 16"),
        ({"seeds": [1, 1]}, ("seeds",), "must not name anything twice, got [1, 1]"),
        ({"seeds": []}, ("seeds",), "at least 1 item"),
        ({"protocols": ["knn", "knn"]}, ("protocols",), "must not name anything twice"),
        ({"protocols": ["knn", "hummingbird"]}, ("protocols", 1), "'in_context', 'linear'"),
        ({"overclustering": {"clusters": []}}, ("overclustering", "clusters"), "at least 1 item"),
        ({"encoders": []}, ("encoders",), "at least 1 item"),
        ({"encoders": ["test_vit@random"] * 2}, (), "must not name an encoder twice"),
        ({"names": ["a", "b"]}, (), "names: must be 1 different names, got ['a', 'b']"),
        ({"in_context": {"kk": 3}}, ("in_context", "kk"), "Extra inputs"),
    ],
)
def test_what_cannot_work_is_refused_where_it_stands(over, place, problem):
    with pytest.raises(ValidationError) as refused:
        evaluate(**over)
    [error] = refused.value.errors()
    assert error["loc"] == place
    assert problem in error["msg"]


@pytest.mark.parametrize(
    ("weights", "name"),
    [
        ("pretrained", "test_vit"),
        ("random", "test_vit@random"),
        ("/weights/mine.pth", "mine"),
        ("/runs/photos/final/encoder.safetensors", "photos"),
        ("/runs/photos/checkpoints/step-00000500/encoder.safetensors", "photos step-00000500"),
        ("/encoders/enc_01/encoder.safetensors", "enc_01"),
    ],
)
def test_an_encoder_is_called_by_what_tells_it_apart(weights, name):
    assert short_name(EncoderConfig(architecture="test_vit", weights=weights)) == name


def test_encoders_whose_short_names_agree_are_called_by_their_references():
    both = ["test_vit@/a/final/encoder.safetensors", "test_vit2@/b/../a/final/encoder.safetensors"]
    assert evaluate(encoders=both).encoder_names == tuple(both)
    assert evaluate(encoders=both, names=["base", "ours"]).encoder_names == ("base", "ours")


def test_a_training_may_ask_for_an_evaluation_whose_size_fits_its_encoder():
    request = {"dataset": "photos", "encoder": "test_vit@random", "loss": {"grid": 2}}
    config = TrainConfig.model_validate({**request, "evaluate": {"dataset": "camvid", "size": 64}})
    assert config.evaluate.dataset == "camvid"
    with pytest.raises(ValidationError, match=r"evaluate\.size: size 100 must be a multiple"):
        TrainConfig.model_validate({**request, "evaluate": {"dataset": "camvid", "size": 100}})


def test_every_layout_there_is_may_be_asked_for():
    assert set(get_args(Layout)) == {"auto", *LAYOUTS}


def test_settings_and_reports_are_read_without_torch():
    code = (
        "import sys, paka.config, paka.evaluation.report_schema; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
