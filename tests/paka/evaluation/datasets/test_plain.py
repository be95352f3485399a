import numpy as np
import pytest

from paka.errors import DataError
from paka.evaluation.datasets import open_labelled


def test_images_masks_and_numbered_classes(plain):
    found = open_labelled(plain)
    assert found.layout == "plain"
    assert found.name == plain.name
    assert found.classes == ("0", "1", "2")
    assert [path.name for path in found.train.images] == ["a.jpg", "b.jpg"]
    assert [path.name for path in found.val.masks] == ["c.png"]
    mask = found.train.read_mask(0)
    assert mask.dtype == np.uint8
    assert mask.shape == (4, 6)
    assert mask[0].tolist() == [0, 1, 255, 255, 255, 255]
    assert found.train.labels is None


def test_camvid(camvid):
    found = open_labelled(camvid, "plain")
    assert len(found.classes) == 11
    assert (len(found.train), len(found.val)) == (367, 101)
    assert found.val.read_mask(0).shape == (360, 480)


def test_sub_folders(plain, write_image, write_mask):
    write_image("images/val/city/c.jpg")
    write_mask("masks/val/city/c.png", [0])
    found = open_labelled(plain)
    assert [str(path.relative_to(plain)) for path in found.val.masks] == [
        "masks/val/c.png",
        "masks/val/city/c.png",
    ]


def test_class_names(plain):
    (plain / "classes.txt").write_text("sky\nroad\ntraffic light\ncar\n")
    assert open_labelled(plain).classes == ("sky", "road", "traffic light", "car")


def test_a_value_without_a_name_is_reported(plain):
    (plain / "classes.txt").write_text("sky\nroad\n")
    found = open_labelled(plain)
    with pytest.raises(DataError, match=r"b\.png holds the value 2.*0 … 1, 255"):
        found.train.read_mask(1)


@pytest.mark.parametrize("text", ["sky\n\nroad\n", "sky\nsky\n", "\n"])
def test_class_names_that_cannot_be(plain, text):
    (plain / "classes.txt").write_text(text)
    with pytest.raises(DataError, match=r"classes\.txt"):
        open_labelled(plain)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_labels_of_images(plain, encoding):
    rows = "split,image,label\nval,c,zebra\ntrain,b,zebra\ntrain,a,dog\n"
    (plain / "labels.csv").write_text(rows, encoding)
    found = open_labelled(plain)
    assert found.label_names == ("dog", "zebra")
    assert found.train.labels.tolist() == [0, 1]
    assert found.val.labels.tolist() == [1]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("split,image\ntrain,a\n", "columns split,image,label"),
        ("split,image,label\ntrain,a,x\ntrain,b,x\n", "has no row for val/c"),
        ("split,image,label\ntrain,a,x\ntrain,b\nval,c,x\n", "no label in line 3"),
        ("split,image,label\ntrain,a,x\ntrain,a,y\n", "two rows for train/a"),
        ("split,image,label\ntrain,a,x\ntrain,b,x\nval,c,x\nval,d,x\n", "not exist: val/d"),
    ],
)
def test_labels_that_do_not_fit_the_images(plain, rows, message):
    (plain / "labels.csv").write_text(rows)
    with pytest.raises(DataError, match=message):
        open_labelled(plain)


@pytest.mark.parametrize("name", ["classes.txt", "labels.csv"])
def test_files_that_are_no_text(plain, name):
    (plain / name).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=rf"{name} must be text in UTF-8"):
        open_labelled(plain)


def test_a_missing_mask_is_named(plain):
    (plain / "masks/train/b.png").unlink()
    with pytest.raises(DataError, match=r"1 of 3 masks are missing, .*masks/train/b\.png"):
        open_labelled(plain)


def test_two_images_for_one_mask(plain, write_image):
    write_image("images/train/a.png")
    with pytest.raises(DataError, match=r"a\.jpg and .*a\.png would share one mask"):
        open_labelled(plain)


def test_masks_without_a_class(plain, write_mask):
    for name in ("train/a", "train/b", "val/c"):
        write_mask(f"masks/{name}.png", [])
    with pytest.raises(DataError, match="there is no class"):
        open_labelled(plain)
