import numpy as np
import pytest

from paka.evaluation.colours import class_colours


@pytest.mark.parametrize("count", [1, 20, 27, 150, 255])
def test_every_class_has_a_colour_of_its_own(count):
    colours = class_colours(count)
    assert (colours.shape, colours.dtype) == ((count, 3), np.uint8)
    assert len(np.unique(colours, axis=0)) == count


def test_a_class_keeps_its_colour_whatever_comes_after_it():
    np.testing.assert_array_equal(class_colours(171)[:30], class_colours(30))
