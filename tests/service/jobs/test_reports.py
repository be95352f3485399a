import json

import pytest

from paka.evaluation.report_schema import Report
from service.store import attempts, jobs
from service.store.status import JobStatus

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

FILES = {"report.json": '{"classes": []}', "report.md": "| encoder |\n", "report.html": "<p>é</p>"}
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
FORMS = [
    ({}, "*/*", "report.json", "application/json"),
    ({}, "", "report.json", "application/json"),
    ({}, BROWSER, "report.html", "text/html; charset=utf-8"),
    ({}, "text/markdown", "report.md", "text/markdown; charset=utf-8"),
    ({"format": "json"}, BROWSER, "report.json", "application/json"),
    ({"format": "markdown"}, "", "report.md", "text/markdown; charset=utf-8"),
    ({"format": "html"}, "application/pdf", "report.html", "text/html; charset=utf-8"),
]


@pytest.fixture
def make(database):
    """Returns the id of a new job of this kind and config."""

    def create(kind, **config):
        with database.write() as session:
            return jobs.create(session, kind, config, request_sha256="0" * 64).id

    return create


@pytest.fixture
def end(database):
    """Ends a queued job in this status."""

    def finish(job_id, status):
        with database.write() as session:
            lease = attempts.claim(session, job_id, "worker-1", 60)
            attempts.finish(session, lease, status)

    return finish


def write_report(folder):
    folder.mkdir(parents=True)
    for name, text in FILES.items():
        (folder / name).write_text(text)


def get(api, job_id, accept="*/*", **params):
    return api.get(f"/jobs/{job_id}/report", params=params, headers={"Accept": accept})


def test_a_report_comes_in_the_form_that_is_asked_for(api, make, settings):
    job_id = make("evaluate")
    write_report(settings.job_folder(job_id))
    for params, accept, file, content_type in FORMS:
        response = get(api, job_id, accept, **params)
        assert (response.status_code, response.text) == (200, FILES[file]), (params, accept)
        assert response.headers["content-type"] == content_type
        assert response.headers["vary"] == "Accept"
        assert response.headers["x-content-type-options"] == "nosniff"
        disposition = response.headers["content-disposition"]
        assert disposition == f'inline; filename="{job_id}-{file}"'


def test_the_page_may_load_run_and_send_nothing(api, make, settings):
    job_id = make("evaluate")
    write_report(settings.job_folder(job_id))
    policy = get(api, job_id, format="html").headers["content-security-policy"]
    directives = dict(part.strip().partition(" ")[::2] for part in policy.split(";"))
    assert directives == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": "'unsafe-inline'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "sandbox": "",
    }
    others = get(api, job_id, format="json").headers["content-security-policy"]
    assert others.startswith("default-src 'none'; base-uri")


def test_an_unknown_form_is_refused(api, make, settings, assert_problem):
    job_id = make("evaluate")
    write_report(settings.job_folder(job_id))
    assert_problem(get(api, job_id, format="pdf"), 422, "invalid_request", "format")
    assert_problem(get(api, job_id, "application/pdf"), 406, "not_acceptable")


def test_a_report_that_is_not_there_yet_is_told_from_one_that_never_comes(
    api, make, end, settings, assert_problem
):
    job_id = make("evaluate")
    assert "queued" in assert_problem(get(api, job_id), 404, "report_not_ready")
    end(job_id, JobStatus.FAILED)
    assert "failed" in assert_problem(get(api, job_id), 404, "report_not_found")
    assert_problem(get(api, make("embed")), 404, "report_not_found")


def test_a_training_job_has_a_report_if_it_evaluates(api, make, settings, assert_problem):
    plain, evaluating = make("train", evaluate=None), make("train", evaluate={"dataset": "x"})
    for job_id in (plain, evaluating):
        write_report(settings.job_folder(job_id) / "evaluation")
    assert_problem(get(api, plain), 404, "report_not_found")
    assert get(api, evaluating, format="markdown").text == FILES["report.md"]


def test_the_example_in_the_reference_is_a_report(api):
    document = api.get("/openapi.json").json()
    answer = document["paths"]["/jobs/{job_id}/report"]["get"]["responses"]["200"]
    assert set(answer["content"]) == {"application/json", "text/markdown", "text/html"}
    Report.model_validate_json(json.dumps(answer["content"]["application/json"]["example"]))
    reference = answer["content"]["application/json"]["schema"]["$ref"]
    assert reference == "#/components/schemas/Report"


def test_a_job_links_to_what_it_makes(api, make):
    def links(job_id):
        shown = api.get(f"/jobs/{job_id}").json()["links"]
        return shown.keys() - {"self", "events", "metrics", "log"}, shown.get("report")

    evaluate, train = make("evaluate"), make("train", evaluate={"dataset": "x"})
    assert links(evaluate) == ({"report"}, f"/jobs/{evaluate}/report")
    assert links(train) == ({"checkpoints", "report"}, f"/jobs/{train}/report")
    assert links(make("train")) == ({"checkpoints"}, None)
    assert links(make("embed")) == ({"features"}, None)
