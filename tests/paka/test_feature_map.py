import pytest

from paka.architectures import find_architecture
from paka.feature_map import input_size


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (480, 480, (448, 448)),
        (300, 451, (448, 672)),
        (451, 300, (672, 448)),
        (10, 9000, (16, 2048)),
    ],
)
def test_the_input_keeps_the_shape_of_the_image(height, width, expected):
    facts = find_architecture("vit_tiny_patch16_224")
    assert input_size(facts, height, width, 448) == expected
    facts.check_size(*expected)
