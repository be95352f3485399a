import base64
import hashlib
import re

import pytest

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_the_reference_needs_nothing_but_this_server(api):
    page = api.get("/docs")
    assert page.status_code == 200
    links = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert len(links) == 3
    for link in links:
        file = api.get(link)
        assert (file.status_code, len(file.content) > 1000) == (200, True), link
    assert "http" not in re.sub(r"window\.location\.\w+", "", page.text)


def test_only_the_references_own_scripts_may_run(api):
    page = api.get("/docs")
    policy = page.headers["content-security-policy"]
    (script,) = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'self' 'sha256-{digest}';" in policy
    assert "/openapi.json" in script
    assert api.get("/openapi.json").status_code == 200


@pytest.mark.parametrize("path", ["/docs/files/../../app.py", "/docs/files/%2e%2e/__init__.py"])
def test_no_other_file_is_served(api, path):
    assert api.get(path).status_code == 404
