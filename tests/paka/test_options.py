import pytest
from pydantic import ValidationError

from paka.architectures import find_architecture
from paka.options import FeatureOptions, geometry

VIT = find_architecture("vit_small_patch14_reg4_dinov2")


def test_the_default_size_is_the_architectures():
    assert FeatureOptions().input_size(VIT) == (518, 518)


def test_sides_may_differ():
    assert FeatureOptions(size=(98, 140)).input_size(VIT) == (98, 140)


@pytest.mark.parametrize("size", [100, (98, 99), (98, 2058)])
def test_a_size_that_does_not_fit_is_refused(size):
    with pytest.raises(ValueError, match=r"multiple of the patch size|size must lie"):
        FeatureOptions(size=size).input_size(VIT)


@pytest.mark.parametrize("size", [0, -14, (0, 14), 5000])
def test_a_size_out_of_bounds_is_refused(size):
    with pytest.raises(ValidationError):
        FeatureOptions(size=size)


def test_a_layer_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="12 blocks"):
        FeatureOptions(layers=(12,)).input_size(VIT)


def test_unknown_fields_are_refused():
    with pytest.raises(ValidationError, match="Extra inputs"):
        FeatureOptions.model_validate({"sise": 3})


def test_geometry_places_every_vector():
    about = geometry(VIT, FeatureOptions(size=(98, 140), layers=(-1, -4)), "enc_1", "0" * 64)
    assert about["grid"] == [7, 10]
    assert about["size"] == [98, 140]
    assert about["patch_size"] == 14
    assert about["prefix_tokens"] == 5
    assert about["layers"] == [-1, -4]
    assert about["encoder"] == "enc_1"
