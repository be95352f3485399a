import pytest
import torch

from paka.errors import ExportError
from paka.export.checks import Check, compare, library, native_shape, other_shape, require


def itself(encoder):
    return lambda images: encoder(encoder.standardise(images))


def test_an_encoder_passes_against_itself_and_fails_against_a_little_more(small):
    shapes = [native_shape(small.architecture), other_shape(small.architecture)]
    same = compare("copy", small, itself(small), shapes, 1e-6)
    assert [check.difference for check in same] == [0, 0, 0, 0]
    require(same)

    def more(images):
        patches, image = itself(small)(images)
        return patches + 0.01, image

    differing = compare("copy", small, more, shapes, 1e-3)
    assert [check.passed for check in differing] == [False, True, False, True]
    with pytest.raises(ExportError, match=r"copy: patch tokens, 2 x 160 x 160 .*0\.01"):
        require(differing)


def test_nothing_passes_that_is_not_a_number_or_of_another_shape(small):
    def broken(images):
        patches, image = itself(small)(images)
        return patches * torch.nan, image

    def turned(images):
        patches, image = itself(small)(images)
        return patches.transpose(1, 2), image

    shape = other_shape(small.architecture)
    assert not compare("copy", small, broken, [shape], 1e3)[0].passed
    with pytest.raises(ExportError, match=r"\(1, 8, 6, 64\) instead of \(1, 6, 8, 64\)"):
        compare("copy", small, turned, [shape], 1e3)


def test_a_difference_that_is_anothers_own_is_told_and_passes():
    check = Check("transformers", "patch tokens", (1, 16, 32), 0.25, None)
    assert check.passed
    assert str(check) == (
        "transformers: patch tokens, 1 x 16 x 32 pixels: largest difference 0.2 "
        "(another library's own)"
    )


def test_a_library_that_is_not_there_says_how_to_get_it():
    with pytest.raises(ExportError, match=r"no_such_library is needed.*paka-service\[export\]"):
        library("no_such_library")
