import gc
import os
import subprocess
import sys
import tracemalloc

import pytest

from paka.data.folder import ImageFiles
from paka.data.names import Names
from paka.data.tar import TarImages

ODD = ["", "ä.jpg", "日本.png", "cut-\udce4.jpg", "\udcc3\udca4.jpg", "a/b.jpg", ""]
NAMES = [f"folder-{number // 100:04d}/photograph-{number:08d}.jpg" for number in range(2000)]


def test_names_are_what_they_were():
    names = Names(ODD)
    assert [names[index] for index in range(len(names))] == ODD
    assert len(Names([])) == 0


def test_names_are_what_they_were_in_a_locale_without_their_letters():
    script = "import sys; from paka.data.names import Names; names = Names(eval(sys.argv[1])); "
    script += "print(sys.getfilesystemencoding(), ascii([names[i] for i in range(len(names))]))"
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-c", script, ascii(ODD)]
    done = subprocess.run(command, env=os.environ | ascii_only, capture_output=True, text=True)
    assert done.stdout == f"ascii {ODD!a}\n", done.stderr


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
