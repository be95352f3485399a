"""Whatever is sent to `POST /datasets`, the answer is below 500 and a refusal leaves nothing."""

import io
import tarfile
import zipfile

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from PIL import Image

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
CODES = {400, 409, 413, 415, 422}


def files():
    """A tar.gz and a zip with an image and one that is broken."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    entries = {"a/b.png": buffer.getvalue(), "c.jpg": b"hello", "classes.txt": b"x"}
    packed, zipped = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar, zipfile.ZipFile(zipped, "w") as archive:
        for name, content in entries.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
            archive.writestr(name, content)
    return [packed.getvalue(), zipped.getvalue()]


FILES = files()
BODIES = [
    b"--b\r\nContent-Disposition: form-data; name=name\r\n\r\nfuzz\r\n"
    b"--b\r\nContent-Disposition: form-data; name=visibility\r\n\r\nlab\r\n"
    b"--b\r\nContent-Disposition: form-data; name=archive; filename=a.tar\r\n\r\n"
    + content
    + b"\r\n--b--\r\n"
    for content in FILES
]


def check(api, uploads, response):
    event(f"{response.status_code} {response.json().get('code', '')}")
    if response.status_code == 201:
        name = response.json()["name"]
        assert {path.name for path in uploads.iterdir()} == {name}
        assert api.delete(f"/datasets/{name}").status_code == 204
    else:
        assert response.status_code in CODES, response.text
        assert response.json()["code"]
    assert list(uploads.iterdir()) == []
    assert api.get("/datasets").json()["data"] == []


@given(data=st.data())
@settings(settings.get_profile("fuzz"))
def test_a_changed_archive_is_taken_or_refused(api, settings, mutated, data):
    archive = data.draw(mutated(FILES))
    name = data.draw(st.just("fuzz") | st.text(max_size=20))
    response = api.post("/datasets", data={"name": name}, files={"archive": ("a", archive)})
    check(api, settings.uploads_folder, response)


@given(data=st.data())
@settings(settings.get_profile("fuzz"))
def test_a_changed_form_is_taken_or_refused(api, settings, mutated, data):
    body = data.draw(mutated(BODIES))
    kind = data.draw(
        st.just("multipart/form-data; boundary=b")
        | st.sampled_from(["multipart/form-data", "multipart/form-data; boundary=", "x", ""])
    )
    response = api.post("/datasets", content=body, headers={"Content-Type": kind})
    check(api, settings.uploads_folder, response)
