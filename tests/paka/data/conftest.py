"""The same few images in every kind of data set."""

import io
import tarfile
import zipfile

import pytest
from PIL import Image


def png(number):
    """A small image of its own colour, as a file's content."""
    file = io.BytesIO()
    Image.new("RGB", (4, 4), (number, 0, 0)).save(file, "PNG")
    return file.getvalue()


FILES = {"a/1.png": png(1), "a/2.png": png(2), "b.PNG": png(3)}
OTHERS = {"a/1.json": b"{}", ".hidden.png": png(9), "__MACOSX/._b.png": b"no", "notes.txt": b""}


@pytest.fixture
def write_tar():
    """Writes members, in their order, as `name: content` or `tarfile.TarInfo: content`."""

    def write(path, members):
        with tarfile.open(path, "w") as tar:
            for name, content in members.items():
                entry = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
        return path

    return write


@pytest.fixture
def write_zip():
    """Writes members as `name: content`."""

    def write(path, members, compression=zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return path

    return write


@pytest.fixture
def files():
    """What the images are, by their paths."""
    return FILES


@pytest.fixture
def members():
    """The images among what else archives hold."""
    return OTHERS | FILES
