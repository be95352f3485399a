import pytest

from paka.errors import DataError
from paka.evaluation.datasets import open_labelled
from paka.evaluation.datasets.coco import STUFF, THINGS

LAYOUTS = [("", "stuffthingmaps"), ("images/", "annotations"), ("", "stuffthingmaps_trainval2017")]


@pytest.fixture
def write_coco(tmp_path, write_image, write_mask):
    # Ids less one: person 1, dog 18, toothbrush 90, banner 92, clouds 106, wood 182.
    values = [0, 17, 89, 91, 105, 181]

    def write(images="", maps="stuffthingmaps"):
        for split, name in (("train2017", "000000000009"), ("val2017", "000000000139")):
            write_image(f"{images}{split}/{name}.jpg")
            write_mask(f"{maps}/{split}/{name}.png", values)
        return tmp_path

    return write


def named(found):
    first = found.val.read_mask(0)[0]
    return [None if index == 255 else found.classes[index] for index in first]


@pytest.mark.parametrize(("images", "maps"), LAYOUTS)
def test_stuff_without_things(write_coco, images, maps):
    found = open_labelled(write_coco(images, maps), "coco-stuff")
    assert (found.layout, found.name, len(found.classes)) == ("coco-stuff", "COCO-Stuff", 15)
    assert named(found) == [None, None, None, "textile", "sky", "solid"]
    assert (found.val.read_mask(0)[1:] == 255).all()


@pytest.mark.parametrize(("images", "maps"), LAYOUTS)
def test_things_without_stuff(write_coco, images, maps):
    found = open_labelled(write_coco(images, maps), "coco-things")
    assert (found.layout, found.name, len(found.classes)) == ("coco-things", "COCO-Things", 12)
    assert named(found) == ["person", "animal", "indoor", None, None, None]


def test_every_category_has_one_super_category():
    for categories, ids in ((THINGS, range(1, 92)), (STUFF, range(92, 183))):
        assert sorted(i for members in categories.values() for i in members) == list(ids)
        assert list(categories) == sorted(categories)


def test_which_of_the_two_must_be_said(write_coco):
    with pytest.raises(DataError, match="coco-stuff or coco-things"):
        open_labelled(write_coco())
