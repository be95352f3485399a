import subprocess
import sys
from typing import get_args

import pytest

from paka.errors import DataError
from paka.evaluation.datasets import LAYOUTS, LayoutName, find_layout, open_labelled


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.touch()])
def test_no_folder(tmp_path, make):
    make(tmp_path / "data")
    with pytest.raises(DataError, match="give the folder"):
        open_labelled(tmp_path / "data")


def test_a_folder_of_another_kind_is_told_what_each_layout_needs(tmp_path):
    with pytest.raises(DataError) as error:
        open_labelled(tmp_path)
    for name, layout in LAYOUTS.items():
        assert f"{name}: {layout.expects}" in str(error.value)


def test_a_folder_of_another_layout_than_asked_for(plain):
    with pytest.raises(DataError, match=r"is not laid out as a labelled data set\. ade20k: \S+$"):
        open_labelled(plain, "ade20k")


def test_a_layout_is_found_without_a_look_at_the_files(plain):
    (plain / "masks/val/c.png").unlink()
    assert find_layout(plain) == ("plain", plain)
    with pytest.raises(DataError, match=r"c\.png"):
        open_labelled(plain)


def test_every_layout_has_a_name():
    assert get_args(LayoutName) == ("auto", *LAYOUTS)


def test_data_sets_load_no_torch():
    code = "import sys, paka.evaluation.datasets; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
