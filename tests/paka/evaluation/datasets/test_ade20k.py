import pytest

from paka.errors import DataError
from paka.evaluation.datasets import open_labelled


@pytest.fixture
def ade20k(tmp_path, write_image, write_mask):
    for split, name in (("training", "ADE_train_00000001"), ("validation", "ADE_val_00000001")):
        write_image(f"ADEChallengeData2016/images/{split}/{name}.jpg")
        write_mask(f"ADEChallengeData2016/annotations/{split}/{name}.png", [0, 1, 2, 150], fill=0)
    return tmp_path


def test_other_things_are_ignored_and_classes_start_at_zero(ade20k):
    found = open_labelled(ade20k)
    assert (found.layout, found.name, len(found.classes)) == ("ade20k", "ADE20K", 150)
    assert found.val.read_mask(0)[0].tolist() == [255, 0, 1, 149, 255, 255]
    assert (found.classes[0], found.classes[149]) == ("wall", "flag")
    assert len(found.train) == len(found.val) == 1


def test_a_value_above_150_is_no_class(ade20k, write_mask):
    name = "ADEChallengeData2016/annotations/validation/ADE_val_00000001.png"
    write_mask(name, [151], fill=0)
    with pytest.raises(DataError, match="value 151"):
        open_labelled(ade20k).val.read_mask(0)
