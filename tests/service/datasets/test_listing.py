"""What is listed as data sets."""

import shutil

import pytest

from service.datasets import listing

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@sqlite_only
def test_folders_of_the_data_roots_are_listed_and_not_deleted(
    api, folder, labelled, settings, assert_problem
):
    (folder.parent / "empty").mkdir()
    (folder.parent / ".hidden").mkdir()
    shutil.copy(next(folder.iterdir()), folder.parent / ".hidden")
    (folder.parent / "link").symlink_to(folder)
    listed = api.get("/datasets").json()
    assert [item["name"] for item in listed["data"]] == ["labelled", "photos"]
    assert listed["data"][1] == {
        "name": "photos",
        "path": str(folder),
        "source": "root",
        "images": 3,
        "complete": True,
        "bytes": None,
        "user": None,
        "visibility": None,
        "created_at": None,
    }
    first = api.get("/datasets?limit=1").json()
    assert (len(first["data"]), first["has_more"]) == (1, True)
    second = api.get("/datasets", params={"limit": 1, "after": first["next"]}).json()
    assert [item["name"] for item in second["data"]] == ["photos"]
    assert not second["has_more"]
    assert_problem(api.delete("/datasets/photos"), 409, "not_an_upload")
    assert folder.is_dir()
    for name in ("empty2", ".hidden", "%2e%2e", "x" * 300, "%00"):
        assert api.get(f"/datasets/{name}").status_code in (404, 422), name


@sqlite_only
def test_a_data_root_with_images_of_its_own_is_listed(api, folder, labelled, assert_problem):
    root = folder.parent
    shutil.copy(next(folder.iterdir()), root)
    listed = api.get("/datasets").json()["data"]
    assert [item["path"] for item in listed] == [str(root), str(labelled), str(folder)]
    assert (listed[0]["source"], listed[0]["complete"]) == ("root", True)
    assert listed[0]["images"] > listed[2]["images"]
    assert api.get(f"/datasets/{root.name}").json() == listed[0]
    assert_problem(api.delete(f"/datasets/{root.name}"), 409, "not_an_upload")
    config = {"preset": "tiny", "dataset": listed[0]["path"]}
    assert api.post("/train", json=config).status_code == 202


def test_counting_has_an_end(tmp_path, monkeypatch):
    monkeypatch.setattr(listing, "MAX_ENTRIES", 5)
    for number in range(9):
        (tmp_path / f"{number}.jpg").touch()
    assert listing.count_images(tmp_path) == (5, 0)


def test_hidden_files_and_links_are_not_counted(tmp_path):
    for name in ("a.jpg", "sub/b.PNG", "sub/.c.jpg", ".d/e.jpg", "sub/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "again").symlink_to(tmp_path)
    assert listing.count_images(tmp_path) == (2, 1)
    assert listing.count_images(tmp_path / "nothing") == (0, 1)
