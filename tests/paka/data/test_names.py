import gc
import tracemalloc

import pytest

from paka.data.folder import ImageFiles
from paka.data.names import Names
from paka.data.tar import TarImages

NAMES = [f"folder-{number // 100:04d}/photograph-{number:08d}.jpg" for number in range(2000)]


def test_names_are_what_they_were():
    odd = ["", "ä.jpg", "日本.png", "cut-\udce4.jpg", "a/b.jpg", ""]
    names = Names(odd)
    assert [names[index] for index in range(len(names))] == odd
    assert len(Names([])) == 0


def _folder(_write_tar, _path):
    return ImageFiles(NAMES)


def _tar(write_tar, path):
    return TarImages(write_tar(path, dict.fromkeys(NAMES, b"")), "x")


@pytest.mark.parametrize(("make", "numbers"), [(_folder, 1), (_tar, 3)])
def test_a_data_set_takes_little_more_memory_than_the_letters_of_its_names(
    make, numbers, write_tar, tmp_path
):
    """`numbers` of eight bytes for each image beside its name, and no object."""
    make(write_tar, tmp_path / "first.tar")  # what it imports is imported
    tracemalloc.start()
    images = make(write_tar, tmp_path / "set.tar")
    gc.collect()  # an archive's members are in cycles with it
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(images) == len(NAMES)
    assert taken / len(NAMES) < len(NAMES[0]) + 8 * numbers + 10
