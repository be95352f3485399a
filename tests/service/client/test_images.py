import numpy as np
import pytest
from PIL import Image

from service.client.images import batches, count, to_file


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((8, 8), np.uint8), r"images\[0\] is uint8 of shape \(8, 8\); give uint8 pixels"),
        (np.zeros((8, 8, 3)), "float64 of shape"),
        (7, "images.0. is int; give a path"),
    ],
)
def test_what_is_no_image_is_refused_before_anything_is_sent(make_client, image, message):
    with pytest.raises(TypeError, match=message):
        make_client().embed([image])


def test_no_images_are_refused(make_client):
    with pytest.raises(ValueError, match="there are no images"):
        make_client().embed([])


def test_batches_are_taken_as_they_are_asked_for():
    taken = []
    source = (taken.append(number) or b"image" for number in range(5))
    made = batches(source, 2)
    assert next(made) == (0, [b"image", b"image"]) and taken == [0, 1]
    assert [batch.first for batch in made] == [2, 4]


@pytest.mark.parametrize(
    ("images", "number"),
    [
        ("cat.jpg", 1),
        (b"content", 1),
        (np.zeros((8, 8, 3), np.uint8), 1),
        (np.zeros((5, 8, 8, 3), np.uint8), 5),
        (["cat.jpg", "dog.jpg"], 2),
        (iter(["cat.jpg"]), 0),
    ],
)
def test_how_many_images_there_are(images, number):
    assert count(images) == number
    assert len([one for batch in batches(images, 2) for one in batch.images]) == max(number, 1)


def test_images_that_png_cannot_hold_are_sent_as_rgb():
    content = to_file(Image.new("CMYK", (4, 4)), 0).content
    assert content.startswith(b"\x89PNG")
