import shutil
import time
from pathlib import Path

import pytest

from paka.data.folder import list_images
from paka.data.links import Reach, check_links
from paka.errors import DataError
from paka.evaluation.datasets import open_labelled


@pytest.fixture
def places(tmp_path):
    """Folders: a data set in a root, another in the same root, private uploads, and outside."""
    for name in ("root/set/sub", "root/other", "root/uploads/private", "outside"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "a.jpg").touch()
    return tmp_path


@pytest.fixture
def reach(places):
    return Reach((places / "root",), (places / "root" / "uploads",))


def test_links_into_the_roots_and_the_data_set_itself_are_followed(places, reach):
    folder = places / "root" / "set"
    (folder / "b.jpg").symlink_to(places / "root" / "other" / "a.jpg")
    (folder / "more").symlink_to(places / "root" / "other")
    (folder / "sub" / "up").symlink_to("../..")
    (places / "root" / "set2").symlink_to(folder)
    check_links(folder, reach)
    check_links(places / "root" / "set2", reach)
    own = places / "root" / "uploads" / "private"
    (own / "c.jpg").symlink_to("a.jpg")
    check_links(own, reach)


@pytest.mark.parametrize(
    "target",
    [
        "/etc/passwd",
        "/etc",
        "../../outside/a.jpg",
        "../../nothing.jpg",
        "../uploads/private/a.jpg",
        "../uploads",
        "../link",
        "..//../../../../../../../../../etc/shadow",
    ],
)
@pytest.mark.parametrize("where", ["evil.jpg", "sub/.hidden"])
def test_a_link_to_elsewhere_is_refused_without_a_word_of_where_to(
    places, reach, monkeypatch, target, where
):
    folder = places / "root" / "set"
    (places / "root" / "link").symlink_to(places / "outside")
    (folder / where).symlink_to(Path("." if where == "evil.jpg" else "..") / target)
    for key, value in reach.to_environment().items():
        monkeypatch.setenv(key, value)
    with pytest.raises(DataError, match="out of the data roots") as caught:
        list_images(folder)
    assert where in str(caught.value)
    assert "etc" not in str(caught.value)


def test_links_behind_links_are_followed_too(places, reach):
    folder = places / "root" / "set"
    (folder / "more").symlink_to(places / "root" / "other")
    (places / "root" / "other" / "evil.jpg").symlink_to("/etc/passwd")
    with pytest.raises(DataError, match="evil"):
        check_links(folder, reach)


def test_a_link_in_a_circle_is_refused(places, reach):
    (places / "root" / "set" / "a").symlink_to("b")
    (places / "root" / "set" / "b").symlink_to("a")
    with pytest.raises(DataError, match="leads nowhere"):
        check_links(places / "root" / "set", reach)


def test_on_ones_own_machine_links_may_lead_anywhere(places, monkeypatch):
    monkeypatch.delenv("PAKA_JOB_ROOTS", raising=False)
    folder = places / "root" / "set"
    (folder / "b.jpg").symlink_to(places / "outside" / "a.jpg")
    assert len(list_images(folder)) == 2


def test_labelled_data_sets_are_checked_too(labelled_photos, tmp_path, monkeypatch):
    folder = shutil.copytree(labelled_photos, tmp_path / "labelled")
    (folder / "classes.txt").unlink()
    (folder / "classes.txt").symlink_to("/etc/passwd")
    monkeypatch.setenv(*Reach((tmp_path,)).to_environment().popitem())
    with pytest.raises(DataError, match=r"classes\.txt is a link out of"):
        open_labelled(folder)


def test_many_files_are_checked_quickly(tmp_path):
    for number in range(2000):
        (tmp_path / f"{number}.jpg").touch()
    started = time.process_time()
    check_links(tmp_path, Reach((tmp_path,)))
    assert time.process_time() - started < 1
