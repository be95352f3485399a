"""What a browser gets, without a browser."""

import pytest

from service.web.site import STATIC

sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@sqlite
def test_the_page_is_at_the_root(api):
    response = api.get("/")
    assert response.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in response.headers["content-security-policy"]


@sqlite
def test_every_file_is_served_and_an_unchanged_one_is_not_sent_again(api):
    for file in (path for path in STATIC.rglob("*") if path.is_file()):
        path = f"/web/{file.relative_to(STATIC)}"
        first = api.get(path)
        assert first.content == file.read_bytes(), path
        again = api.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert again.status_code == 304, path


def test_nothing_is_loaded_from_elsewhere():
    for file in (path for path in STATIC.rglob("*") if path.is_file()):
        text = file.read_text(errors="ignore").replace("http://www.w3.org/", "")
        assert "http://" not in text and "https://" not in text, file
