import pytest

from paka.errors import DataError
from paka.evaluation.datasets import open_labelled

ROOT = "VOCdevkit/VOC2012"


@pytest.fixture
def voc(tmp_path, write_image, write_mask):
    for name in ("2007_000032", "2007_000039", "2007_000033"):
        write_image(f"{ROOT}/JPEGImages/{name}.jpg")
        write_mask(f"{ROOT}/SegmentationClass/{name}.png", [0, 15, 20], palette=True)
    write_image(f"{ROOT}/JPEGImages/2008_000001.jpg")  # of the detection task alone
    lists = tmp_path / ROOT / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_000032\n2007_000039\n")
    (lists / "val.txt").write_text("2007_000033\n")
    return tmp_path


@pytest.mark.parametrize("below", ["", "VOCdevkit", ROOT])
def test_listed_images_with_palette_masks(voc, below):
    found = open_labelled(voc / below)
    assert (found.layout, found.name) == ("voc", "PASCAL VOC 2012")
    assert len(found.classes) == 21
    assert [path.name for path in found.train.images] == ["2007_000032.jpg", "2007_000039.jpg"]
    assert [path.name for path in found.val.images] == ["2007_000033.jpg"]
    assert found.train.read_mask(0)[0].tolist() == [0, 15, 20, 255, 255, 255]


@pytest.mark.parametrize(
    "line", ["2008_000001", "/JPEGImages/2008_000001.jpg /SegmentationClassAug/2008_000001.png"]
)
def test_augmented_training_images(voc, write_mask, line):
    write_mask(f"{ROOT}/SegmentationClassAug/2008_000001.png", [7])
    (voc / ROOT / "ImageSets/Segmentation/trainaug.txt").write_text(f"{line}\n")
    with pytest.raises(DataError, match="voc or voc-aug"):
        open_labelled(voc)
    found = open_labelled(voc, "voc-aug")
    assert found.name == "PASCAL VOC 2012 (trainaug)"
    assert [path.name for path in found.train.images] == ["2008_000001.jpg"]
    assert found.train.read_mask(0)[0, 0] == 7
    assert found.val.masks[0].parent.name == "SegmentationClass"
    assert len(open_labelled(voc, "voc").train) == 2


def test_a_listed_image_that_is_missing_is_named(voc):
    (voc / ROOT / "JPEGImages/2007_000033.jpg").unlink()
    with pytest.raises(DataError, match=r"1 of 1 images are missing, .*2007_000033\.jpg"):
        open_labelled(voc)
