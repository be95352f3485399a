"""Uploading a data set, and deleting it."""

import importlib
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.app import create_app
from service.datasets import storage
from tests.service.datasets.uploading import send, tar, zipped

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.mark.parametrize("pack", [tar, zipped, lambda entries: tar(entries, "w")])
def test_an_archive_becomes_a_data_set_that_jobs_can_use(api, entries, uploads, left, pack):
    response = send(api, pack(entries))
    made = response.json()
    assert response.status_code == 201, made
    assert response.headers["location"] == "/datasets/mine"
    assert made["path"] == str(uploads / "mine")
    assert (made["source"], made["images"], made["visibility"]) == ("upload", 3, "lab")
    assert (made["unreadable"], made["unreadable_count"], made["ignored"]) == ([], 0, 1)
    assert made["bytes"] == sum(len(c) for n, c in entries.items() if n.startswith("some/"))
    assert left() == (sorted(f"mine/{n}" for n in entries if n.startswith("some/")), ["mine"])
    shown = api.get("/datasets/mine").json()
    assert {**made, **shown} == made
    assert api.get("/datasets").json()["data"] == [shown]
    job = api.post("/train", json={"preset": "tiny", "dataset": "mine"}).json()
    assert job["config"]["dataset"] == made["path"]


@sqlite_only
def test_a_labelled_data_set_keeps_its_layout(api, labelled_photos, tmp_path):
    archive = shutil.make_archive(tmp_path / "labelled", "gztar", labelled_photos)
    made = send(api, Path(archive).read_bytes(), "labels")
    assert (made.status_code, made.json()["images"]) == (201, 16)
    body = {"dataset": "labels", "encoders": ["test_vit@random"], "protocols": ["knn"]}
    assert api.post("/evaluate", json=body).status_code in (202, 422)
    folder = Path(made.json()["path"])
    assert (folder / "classes.txt").read_text() == "dark\ngrey\nbright\n"
    for photo in labelled_photos.rglob("*.*"):
        assert (folder / photo.relative_to(labelled_photos)).read_bytes() == photo.read_bytes()


@sqlite_only
def test_images_that_cannot_be_read_are_left_out_and_listed(api, entries, left):
    entries = {**entries, "bad.jpg": b"hello", "some/worse.png": b""}
    made = send(api, tar(entries)).json()
    assert (made["images"], made["unreadable_count"]) == (3, 2)
    assert [item["file"] for item in made["unreadable"]] == ["bad.jpg", "some/worse.png"]
    assert "not an image" in made["unreadable"][0]["reason"]
    assert not [name for name in left()[0] if "bad" in name or "worse" in name]


def refuse(api, left, archive, status, code, field=None, **fields):
    response = send(api, archive, **fields)
    body = response.json()
    assert (response.status_code, body["code"]) == (status, code), body
    if field:
        assert [error["field"] for error in body["errors"]] == [field]
    assert left() == ([], [])
    return body["detail"]


@sqlite_only
def test_a_bad_upload_is_refused_and_leaves_nothing(api, entries, left):
    good = tar(entries)
    for name in ("", ".hidden", "..", "a/b", "a b", "x" * 101, "ä", "-a"):
        refuse(api, left, good, 422, "invalid_request", "name", name=name)
    refuse(api, left, good, 422, "invalid_request", "visibility", visibility="world")
    refuse(api, left, good, 422, "invalid_request", "colour", colour="red")
    refuse(api, left, b"hello", 422, "archive_unreadable")
    refuse(api, left, good[: len(good) // 2], 422, "archive_unreadable")
    refuse(api, left, tar({**entries, "../evil.jpg": b"x"}), 422, "archive_unsafe")
    detail = refuse(api, left, tar({"a.jpg": b"hello"}), 422, "no_images", "archive")
    assert "a.jpg is not an image" in detail
    refuse(api, left, tar({"a.txt": b"hello"}), 422, "no_images", "archive")


PART = b"--b\r\nContent-Disposition: form-data; name=%d\r\n\r\nx\r\n"
BAD_FORMS = [
    (b"--b\r\nContent-Disposition: form-data; name=name\r\n\r\nmine\r\n--b--\r\n", 422),
    (b"--b\r\nContent-Disposition: form-data; name=archive\r\n\r\nmine\r\n--b--\r\n", 422),
    (b'--b\r\nContent-Disposition: form-data; name=archive; filename=a\r\n\r\nx', 400),
    (b"--b\r\nContent-Disposition: form-data; name=name\r\n\r\n" + b"x" * 2000 + b"\r\n--b--", 422),
    (b"--b\r\nContent-Disposition: form-data; name=name\r\n\r\n\xff\r\n--b--\r\n", 400),
    (b"--b\r\nContent-Disposition: form-data; name=name\r\n\r\nx\r\n" * 2 + b"--b--\r\n", 422),
    (b"".join(PART % number for number in range(30)), 400),
    (b"--b\r\nX: " + b"y" * 10_000 + b"\r\n\r\nx\r\n--b--\r\n", 400),
    (b"--b\r\n\r\nx\r\n--b--\r\n", 422),
    (b"", 400),
    (b"hello", 400),
]  # fmt: skip


@sqlite_only
def test_a_bad_form_is_refused_and_leaves_nothing(api, left, assert_problem):
    for form, status in BAD_FORMS:
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        response = api.post("/datasets", content=form, headers=headers)
        assert response.status_code == status, (form[:60], response.text)
    for kind in ("multipart/form-data", "multipart/form-data; boundary=" + "x" * 1000):
        response = api.post("/datasets", content=b"x", headers={"Content-Type": kind})
        assert_problem(response, 400, "bad_request")
    response = api.post("/datasets", json={"name": "mine"})
    assert_problem(response, 415, "wrong_content_type")
    assert left() == ([], [])


@sqlite_only
def test_limits_are_settings(settings, serving, entries, left, photos):
    limits = [
        ("upload_max_bytes", 1024, 413, "body_too_large"),
        ("upload_max_files", 2, 413, "archive_too_large"),
        ("upload_max_file_bytes", 1024, 413, "archive_too_large"),
        ("upload_max_unpacked_bytes", 1024, 413, "archive_too_large"),
        ("upload_max_pixels", 100, 422, "no_images"),
        ("upload_reserve_bytes", 2**60, 507, "disk_full"),
        ("unpack_seconds", 1e-6, 422, "archive_unreadable"),
    ]
    for name, value, status, code in limits:
        with serving(create_app(settings.model_copy(update={name: value}))) as api:
            refuse(api, left, tar(entries), status, code)


@sqlite_only
def test_a_crafted_image_that_ends_its_reader_is_left_out(api, entries, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1])  # children find it by this too
    evil = importlib.import_module("decode_or_die")
    monkeypatch.setattr("service.datasets.service.check_images", evil.check_or_die)
    made = send(api, tar({**entries, "evil.jpg": evil.CRASH})).json()
    assert (made["images"], made["unreadable_count"]) == (3, 1)
    assert "process that tried to was ended by SIGABRT" in made["unreadable"][0]["reason"]


@sqlite_only
def test_a_name_is_given_once(api, entries, uploads, folder, assert_problem):
    assert send(api, tar(entries)).status_code == 201
    before = sorted((uploads / "mine").rglob("*"))
    assert_problem(send(api, tar(entries)), 409, "dataset_exists")
    assert_problem(send(api, tar(entries), "photos"), 409, "dataset_exists")  # in the data root
    assert sorted((uploads / "mine").rglob("*")) == before


@sqlite_only
def test_of_equal_uploads_at_once_one_wins(api, entries, left):
    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(lambda _: send(api, tar(entries)).status_code, range(4)))
    assert sorted(answers) == [201, 409, 409, 409]
    assert left()[1] == ["mine"]
    assert len(left()[0]) == 3


@sqlite_only
def test_a_row_without_its_folder_does_not_hold_a_name(api, entries, uploads, left):
    send(api, tar(entries))
    shutil.rmtree(uploads / "mine")
    assert api.get("/datasets/mine").status_code == 404
    assert send(api, tar(entries), visibility="private").json()["visibility"] == "private"


def test_deleting_removes_files_and_row_unless_a_job_needs_them(api, entries, left, assert_problem):
    send(api, tar(entries))
    job = api.post("/train", json={"preset": "tiny", "dataset": "mine/some"}).json()
    detail = assert_problem(api.delete("/datasets/mine"), 409, "dataset_in_use")
    assert job["id"] in detail
    api.post(f"/jobs/{job['id']}/cancel")
    assert api.delete("/datasets/mine").status_code == 204
    assert left() == ([], [])
    assert_problem(api.delete("/datasets/mine"), 404, "dataset_not_found")
    assert send(api, tar(entries)).status_code == 201


@sqlite_only
def test_what_a_killed_api_left_is_swept_at_the_next_start(settings, serving, uploads):
    (uploads / ".incoming-_dead").mkdir(parents=True)
    (uploads / ".incoming-_dead" / "archive").touch()
    with storage.aside(uploads) as busy, serving(create_app(settings)):
        assert list(uploads.iterdir()) == [busy]
    assert list(uploads.iterdir()) == []


@sqlite_only
def test_a_client_that_hangs_up_leaves_nothing(api, left, uploads):
    import socket

    with socket.create_connection(("127.0.0.1", api.base_url.port)) as client:
        client.sendall(
            b"POST /datasets HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
            b"--b\r\nContent-Disposition: form-data; name=archive; filename=a\r\n\r\nxxx"
        )
        until = time.monotonic() + 10
        while not list(uploads.glob(".incoming*/archive")) and time.monotonic() < until:
            time.sleep(0.01)
        assert list(uploads.glob(".incoming*/archive"))
    while list(uploads.iterdir()) and time.monotonic() < until:
        time.sleep(0.01)
    assert list(uploads.iterdir()) == []
