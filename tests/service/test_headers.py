import pytest

from service.app import create_app
from service.headers import DEFAULTS

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_every_answer_has_the_headers_errors_included(settings, serving):
    app = create_app(settings)

    @app.get("/bug")
    def bug():
        raise RuntimeError

    with serving(app) as api:
        answers = [
            *(api.get(path) for path in ("/health", "/jobs", "/jobs/x", "/nothing")),
            api.post("/train", content=b"x" * 2**21),
            api.delete("/train"),
            api.get("/bug"),
        ]
    assert [answer.status_code for answer in answers] == [200, 200, 404, 404, 413, 405, 500]
    for answer in answers:
        for name, value in DEFAULTS.items():
            assert answer.headers.get_list(name) == [value], (answer.url, name)
        assert answer.headers["cache-control"] == "no-store"


def test_a_files_answer_may_be_kept(api):
    assert "cache-control" not in api.get("/docs/files/swagger-ui.css").headers
