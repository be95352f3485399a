import pytest

from paka.evaluation.datasets import open_labelled


@pytest.fixture
def cityscapes(tmp_path, write_image, write_mask):
    for split, name in (
        ("train", "aachen/aachen_000000_000019"),
        ("train", "ulm/ulm_000000_000019"),
        ("val", "munster/munster_000000_000019"),
    ):
        write_image(f"leftImg8bit/{split}/{name}_leftImg8bit.png")
        write_mask(f"gtFine/{split}/{name}_gtFine_labelIds.png", [7, 8, 33, 16, 26], fill=0)
        write_mask(f"gtFine/{split}/{name}_gtFine_instanceIds.png", [9])
    return tmp_path


def test_label_ids_become_the_evaluated_classes(cityscapes):
    found = open_labelled(cityscapes)
    assert (found.layout, found.name, len(found.classes)) == ("cityscapes", "Cityscapes", 19)
    mask = found.val.read_mask(0)
    assert mask[0].tolist() == [0, 1, 18, 255, 13, 255]
    names = [found.classes[index] for index in mask[0] if index != 255]
    assert names == ["road", "sidewalk", "bicycle", "car"]
    assert (mask[1:] == 255).all()


def test_each_image_has_the_mask_of_its_city(cityscapes):
    found = open_labelled(cityscapes)
    assert [path.parent.name for path in found.train.masks] == ["aachen", "ulm"]
    assert found.train.masks[0].name == "aachen_000000_000019_gtFine_labelIds.png"
