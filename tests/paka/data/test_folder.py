import os

import pytest

from paka.data.count import count_images
from paka.data.folder import LABELS, list_images
from paka.errors import DataError


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_images_are_found_in_all_folders_in_one_order(tmp_path):
    for name in (
        "b/2.JPG",
        "a.png",
        "b/1.jpeg",
        "c/d/e.webp",
        "notes.txt",
        ".hidden.jpg",
        ".git/x.jpg",
    ):
        touch(tmp_path / name)
    found = [str(path.relative_to(tmp_path)) for path in list_images(tmp_path)]
    assert found == ["a.png", "b/1.jpeg", "b/2.JPG", "c/d/e.webp"]


@pytest.mark.parametrize(("labels", "images"), LABELS.items())
def test_masks_beside_their_images_are_no_images_of_the_data_set(tmp_path, labels, images):
    for name in (f"x/{images}/train/1.png", f"x/{labels}/train/1.png", f"y/{labels}/2.png"):
        touch(tmp_path / name)
    found = [str(path.relative_to(tmp_path)) for path in list_images(tmp_path)]
    assert found == [f"x/{images}/train/1.png", f"y/{labels}/2.png"]
    assert count_images(tmp_path, 1000).images == 2
    assert len(list_images(tmp_path / "x" / labels)) == 1  # whoever names it wants it


def test_a_link_in_a_circle_does_not_go_on_for_ever(tmp_path):
    touch(tmp_path / "a" / "1.jpg")
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    assert len(list_images(tmp_path)) == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: None, "does not exist"),
        (lambda p: p.touch(), "is not a folder"),
        (lambda p: touch(p / "a.txt"), "holds no images"),
    ],
)
def test_what_is_no_folder_of_images_is_named(tmp_path, make, message):
    make(tmp_path / "photos")
    with pytest.raises(DataError, match=message):
        list_images(tmp_path / "photos")


def test_a_folder_that_may_not_be_read_is_not_passed_over(tmp_path, monkeypatch):
    touch(tmp_path / "a.jpg")
    (tmp_path / "closed").mkdir()
    real = os.scandir

    def scandir(folder):  # who runs the tests may be root, to whom no folder is closed
        if str(folder).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(folder))
        return real(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DataError, match=r"closed cannot be read \(Permission denied\)"):
        list_images(tmp_path)
