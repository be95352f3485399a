"""From files to views, through the real decoding and cropping."""

import math
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from paka.config import TrainConfig
from paka.data.images import open_images
from paka.distributed import Processes
from paka.loader import make_loader
from paka.views.pipeline import ViewsDataset, collate

VIEWS = {"global_size": 64, "local_size": 32, "local_crops": 4}


def dataset(folder, max_unreadable=0.05, **views):
    config = TrainConfig.model_validate(
        {
            "encoder": "test_vit@random",
            "dataset": str(folder),
            "views": {**VIEWS, **views},
            "runtime": {"max_unreadable": max_unreadable},
        }
    )
    return ViewsDataset(open_images(folder), config)


def test_a_batch_has_the_promised_shapes(photos):
    views = dataset(photos)
    batch = collate([views[0], views[1], views[2]]).views
    assert batch.global_images.shape == (3, 2, 3, 64, 64)
    assert batch.local_images.shape == (3, 4, 3, 32, 32)
    assert batch.global_images.dtype == batch.local_images.dtype == torch.uint8
    assert batch.global_boxes.shape == (3, 2, 4)
    assert batch.local_boxes.shape == (3, 4, 4)
    assert batch.global_flips.shape == (3, 2)
    assert batch.parents.tolist() == [[0, 1, 0, 1]] * 3
    assert batch.photometric.shape == (3, 4, 6)
    assert batch.teacher_photometric.shape == (3, 0, 6)


def ramp(side):
    """An image whose red is its x and whose green is its y, in 255ths of its side."""
    x = np.linspace(0, 255, side)
    pixels = np.stack(
        [np.tile(x, (side, 1)), np.tile(x[:, None], (1, side)), np.zeros((side, side))], -1
    )
    return Image.fromarray(pixels.round().astype(np.uint8))


@pytest.mark.parametrize(
    ("name", "side"), [("ramp.png", 512), ("ramp.jpg", 1024), ("ramp.jpg", 1023)]
)
def test_pixels_are_where_their_box_and_flip_say(tmp_path, name, side):
    ramp(side).save(tmp_path / name, quality=100, subsampling=0)
    views = dataset(tmp_path)
    reduced = 4 if name == "ramp.jpg" else 1
    assert (views[0].views.local_boxes % reduced == 0).all()
    seen = set()
    for epoch in range(6):
        view = views[epoch].views
        for images, boxes, flips in (
            (view.global_images, view.global_boxes, view.global_flips),
            (view.local_images, view.local_boxes, view.local_flips),
        ):
            for image, box, flip in zip(images, boxes, flips, strict=True):
                seen.add(bool(flip))
                size = image.shape[-1]
                steps = (torch.arange(size) + 0.5) / size
                x = box[0] + steps * (box[2] - box[0])
                y = box[1] + steps * (box[3] - box[1])
                red = (x.flip(0) if flip else x) / side * 255
                inner = slice(2, -2)  # a cubic filter overshoots at the image's border
                assert (image[0, 10].float() - red)[inner].abs().max() < 1.5
                assert (image[1, :, 10].float() - y / side * 255)[inner].abs().max() < 1.5
    assert seen == {True, False}


def test_a_large_photograph_is_reduced_as_far_as_its_crops_have_pixels_enough(tmp_path):
    sizes = {(320, 240): 1, (640, 480): 2, (1024, 1024): 4, (2048, 2048): 8}
    sizes |= {(2046, 2045): 8, (2048, 160): 1}  # divisible by none; too low
    for size, factor in sizes.items():
        Image.new("RGB", size).save(tmp_path / "a.jpg")
        boxes = torch.cat([dataset(tmp_path)[n].views.local_boxes.flatten() for n in range(8)])
        assert math.gcd(*boxes.int().tolist()) == factor, size


def test_views_depend_on_seed_epoch_and_index_alone(photos):
    one, other = dataset(photos)[5].views, dataset(photos)[5].views
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    images = len(open_images(photos))
    views = dataset(photos)
    first = {tuple(views[p].views.local_boxes.flatten().tolist()) for p in range(2 * images)}
    assert len(first) == 2 * images


def test_teacher_crops_are_plain(tmp_path):
    Image.new("RGB", (80, 60), (200, 30, 90)).save(tmp_path / "plain.png")
    view = dataset(tmp_path)[0].views
    assert (view.global_images == torch.tensor([200, 30, 90]).view(3, 1, 1)).all()


def test_parameters_of_teacher_crops_are_drawn_beside_what_is_drawn_without_them(photos):
    plain = dataset(photos)[3].views
    disturbed = dataset(photos, teacher_photometric=True)[3].views
    assert disturbed.teacher_photometric.shape == (2, 6)
    assert disturbed.teacher_photometric.dtype == torch.float32
    assert not torch.equal(*disturbed.teacher_photometric)
    assert all(torch.equal(a, b) for a, b in zip(plain[:-1], disturbed[:-1], strict=True))
    again = dataset(photos, teacher_photometric=True)[3].views
    assert torch.equal(disturbed.teacher_photometric, again.teacher_photometric)


def test_an_image_smaller_than_a_crop_is_scaled_up(tmp_path):
    Image.new("RGB", (3, 5)).save(tmp_path / "small.png")
    assert dataset(tmp_path)[0].views.global_images.shape == (2, 3, 64, 64)


@pytest.fixture
def colours(tmp_path):
    """Ten images of one colour each, told apart by their red."""
    for number in range(10):
        Image.new("RGB", (40, 40), (20 * number, 0, 0)).save(tmp_path / f"{number}.png")
    return tmp_path


def shown(loaded):
    """Which of the images the teacher crops show."""
    return round(int(loaded.views.global_images[0, 0, 0, 0]) / 20)


def test_the_next_readable_image_of_the_stream_stands_in_for_one_that_is_not(colours):
    views = dataset(colours, max_unreadable=0.3)
    stream = [shown(views[position]) for position in range(20)]
    place = stream.index(4)
    broken, gone, stands_in = stream[place : place + 3]
    (colours / f"{broken}.png").write_bytes((colours / f"{broken}.png").read_bytes()[:40])
    (colours / f"{gone}.png").unlink()
    loaded = views[place]
    assert shown(loaded) == stands_in
    assert [one.image for one in loaded.unreadable] == [f"{broken}.png", f"{gone}.png"]
    assert "No such file" in loaded.unreadable[1].reason
    assert [one.image for one in views[place + 1].unreadable] == [f"{gone}.png"]
    assert views[place + 2].unreadable == []
    # Its crops are its own, not those that it has at its own place.
    boxes = [views[place + n].views.local_boxes for n in range(3)]
    assert not torch.equal(boxes[0], boxes[2])
    assert torch.equal(boxes[0], dataset(colours, max_unreadable=0.3)[place].views.local_boxes)


def test_where_too_many_cannot_be_read_the_search_ends_and_all_found_are_told(colours):
    for image in colours.iterdir():
        image.write_bytes(b"no image")
    loaded = dataset(colours, max_unreadable=0.3)[7]
    assert len({one.image for one in loaded.unreadable}) == 4
    assert loaded.views.global_images.shape == (2, 3, 64, 64)
    assert len(dataset(colours, max_unreadable=1)[0].unreadable) == 10


def test_a_batch_tells_what_its_images_tell(colours):
    views = dataset(colours, max_unreadable=0.1)
    (colours / "3.png").unlink()
    batch = collate([views[position] for position in range(len(views.images))])
    assert {one.image for one in batch.unreadable} == {"3.png"}


def test_an_archive_gives_the_views_of_its_folder_whatever_the_number_of_workers(photos, tmp_path):
    names = sorted(path.name for path in photos.iterdir())
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.write(photos / name, name)
    archive = open_images(path)
    assert [archive.name(index) for index in range(12)] == [f"photos.zip/{name}" for name in names]
    expected = collate([dataset(photos)[position] for position in range(24)]).views
    config = dataset(photos).config
    for workers in (0, 2):
        over = {"runtime": config.runtime.model_copy(update={"workers": workers})}
        over["optim"] = config.optim.model_copy(update={"batch_size": 24})
        loading = config.model_copy(update=over)
        loader = make_loader(loading, archive, Processes(), torch.device("cpu"), 0)
        views = next(iter(loader)).views
        assert all(torch.equal(a, b) for a, b in zip(views, expected, strict=True))
