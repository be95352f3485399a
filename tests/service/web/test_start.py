"""The form that starts a job."""

import json
import shutil

import pytest
from playwright.sync_api import expect
from redis import Redis

from service.store.base import utc_now
from service.store.contract import CONTRACT_VERSION, worker_key
from service.store.status import JobStatus


@pytest.fixture(scope="module")
def site(make_site, photos, redis_url, tmp_path_factory):
    """An API with a folder of photographs, and a worker that is said to be there."""
    root = tmp_path_factory.mktemp("roots")
    shutil.copytree(photos, root / "photos")
    slot = {"id": "cpu-0", "device": "cpu", "total_bytes": 2**36, "free_bytes": 2**36}
    about = {"name": "w", "kind": "jobs", "host": "h", "pid": 1, "version": "1", "slots": [slot]}
    about |= {"contract": CONTRACT_VERSION, "device": "cpu", "started_at": utc_now().isoformat()}
    with Redis.from_url(redis_url) as redis:
        redis.flushall()
        redis.set(worker_key("jobs", "w"), json.dumps(about))
        yield make_site(data_roots=(root,))
        redis.flushall()


@pytest.fixture
def start(open_page):
    """Opens the form."""

    def start(query="", **options):
        page = open_page(f"#/start{query}", **options)
        page.locator("form.start").wait_for()
        return page

    return start


@pytest.fixture(scope="module")
def made(site):
    """Name and id of an encoder that a job made."""
    lease = site.start(site.add_job("old one"))
    encoder = site.add_encoder(lease, "old one")
    site.end(lease, JobStatus.SUCCEEDED)
    return "old one", encoder


def suggest_nothing(page):
    """As if a hundred newer encoders stood before those that there are."""
    page.route("**/encoders?limit=100", lambda route: route.fulfill(json={"data": []}))
    page.reload()
    page.locator("form.start").wait_for()


def unfold(page, name):
    page.locator("details", has=page.locator(f"summary b:text-is('{name}')")).first.evaluate(
        "each => each.open = true"
    )


def sent(page):
    return json.loads(page.get_by_label("The request as JSON").inner_text())


def jobs(site):
    return site.api.get("/jobs?limit=100").json()["data"]


def test_fields_show_what_the_preset_holds(start, site):
    page = start()
    size = page.get_by_label("Global size")
    assert size.get_attribute("placeholder") == "224"
    page.get_by_label("tiny").check()
    assert size.get_attribute("placeholder") == "128"
    assert (size.get_attribute("min"), size.get_attribute("max")) == ("32", "2048")
    assert page.get_by_label("Encoder", exact=True).get_attribute("placeholder") == (
        "vit_starter_patch16_224"
    )
    unfold(page, "Views")
    size.fill("128")
    assert sent(page) == {"preset": "tiny"}  # the same as the preset's is not sent
    size.fill("160")
    assert sent(page) == {"preset": "tiny", "views": {"global_size": 160}}


def test_every_setting_of_each_request_has_a_field(start, site):
    schemas = site.api.get("/openapi.json").json()["components"]["schemas"]
    for kind, name in (("train", "TrainRequest"), ("evaluate", "EvaluateRequest")):
        page = start(f"?kind={kind}")
        for field in schemas[name]["properties"].keys() - {"preset", "dry_run"}:
            assert page.locator(f"[id^=field-{field}]").count(), field
    unfold(page, "General")
    page.get_by_label("knn").uncheck()
    page.get_by_role("combobox", name="Encoders").fill("test_vit@random")
    page.get_by_label("Data set").fill("labelled")
    assert sent(page)["protocols"] == ["in_context", "linear", "overclustering", "probes"]
    assert sent(page)["encoders"] == ["test_vit@random"]


def test_what_is_wrong_is_said_beside_its_field(start, site):
    before = len(jobs(site))
    page = start(allow=["422"])
    page.get_by_label("tiny").check()
    page.get_by_role("button", name="Start the job").click()
    assert page.evaluate("document.activeElement.id") == "field-dataset"  # the browser's own check
    page.get_by_label("Data set").first.fill("nowhere")
    unfold(page, "Optimisation")
    page.get_by_label("Batch size").first.fill("15")
    page.get_by_label("Accumulate").fill("2")
    page.get_by_role("button", name="Start the job").click()
    page.locator("#field-optim-batch_size-problem").get_by_text("not a multiple").wait_for()
    assert page.evaluate("document.activeElement.id") == "field-optim-batch_size"
    page.get_by_label("Batch size").first.fill("16")
    page.get_by_role("button", name="Start the job").click()
    page.locator("#field-dataset-problem").get_by_text("nowhere").wait_for()
    assert page.get_by_label("Data set").first.get_attribute("aria-invalid") == "true"
    assert page.locator("#field-optim-batch_size-problem").inner_text() == ""
    page.locator(".summary").get_by_role("button", name="dataset: ").click()
    assert len(jobs(site)) == before


def test_a_dry_run_says_what_it_takes(start, site):
    before = len(jobs(site))
    page = start()
    page.get_by_label("tiny").check()
    page.get_by_label("Data set").first.fill("photos")
    page.get_by_role("button", name="What will it take?").click()
    page.get_by_text("80, ").wait_for()
    assert "w (cpu-0)" in page.locator(".costs").inner_text()
    assert len(jobs(site)) == before


def test_costs_of_settings_that_were_changed_meanwhile_are_not_shown(start):
    page = start()
    page.get_by_label("tiny").check()
    page.get_by_label("Data set").first.fill("photos")

    def change_first(route):
        page.get_by_label("Name", exact=True).fill("another")
        route.continue_()

    page.route("**/train", change_first, times=1)
    ask, costs = page.get_by_role("button", name="What will it take?"), page.locator(".costs")
    with page.expect_response("**/train"):
        ask.click()
    expect(page.get_by_role("button", name="Start the job")).to_be_enabled()
    expect(costs).to_have_count(0)
    ask.click()
    expect(costs).to_be_visible()


def test_a_double_click_makes_one_job_and_it_can_be_started_again(start, site):
    before = {job["id"] for job in jobs(site)}
    page = start()
    page.get_by_label("tiny").check()
    page.get_by_label("Data set").first.fill("photos")
    page.get_by_label("Name", exact=True).fill("twice")
    unfold(page, "Optimisation")
    page.get_by_label("Max steps").fill("7")
    unfold(page, "Loss")
    page.locator("#field-loss-grid").locator("xpath=..").get_by_label("none").check()
    button = page.get_by_role("button", name="Start the job")
    # A second press that comes through before the first is answered, and one after it.
    button.evaluate("each => { each.form.requestSubmit(); each.form.requestSubmit(); }")
    page.wait_for_url("**/#/jobs/job_*")
    made = [job for job in jobs(site) if job["id"] not in before]
    assert len(made) == 1
    plain = site.api.post("/train", json={"preset": "tiny", "dataset": "photos", "dry_run": True})
    expected = plain.json()["config"]
    expected["optim"]["max_steps"], expected["loss"]["grid"] = 7, None
    assert (made[0]["config"], made[0]["name"]) == (expected, "twice")

    again = start(f"?from={made[0]['id']}")
    assert sent(again) == {
        "preset": "tiny",
        "name": "twice",
        "dataset": expected["dataset"],
        "optim": {"max_steps": 7},
        "loss": {"grid": None},
    }


def test_an_encoder_that_a_search_found_stays_chosen(start, made):
    name, encoder = made
    page = start()
    suggest_nothing(page)
    box = page.get_by_label("Encoder", exact=True)
    box.fill(name)
    page.get_by_role("option", name=name).wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.get_by_label("Name", exact=True).fill("after it")
    assert box.input_value() == name
    assert sent(page)["encoder"] == encoder


def test_an_older_encoder_is_started_from_again(start, site, made):
    _, encoder = made
    body = {"preset": "tiny", "dataset": "photos", "encoder": encoder}
    job = site.api.post("/train", json=body).json()["id"]
    page = start(f"?from={job}")
    suggest_nothing(page)
    assert sent(page)["encoder"] == encoder


def test_the_same_request_is_sent_under_the_same_key(start, site):
    page = start(allow=["ERR_FAILED"])
    page.get_by_label("tiny").check()
    page.get_by_label("Data set").first.fill("photos")
    keys = []
    page.route("**/train", lambda route: (keys.append(route.request.headers), route.abort())[1])
    for steps in ("5", "5", "6"):
        page.locator("#field-optim-max_steps").evaluate(
            "(each, value) => { each.value = value; }", steps
        )
        page.get_by_role("button", name="Start the job").click()
        page.locator(".summary").get_by_text("does not answer").wait_for()
    first, second, third = (headers["idempotency-key"] for headers in keys)
    assert first == second != third and len(first) == 32


def test_the_page_has_no_serious_faults(start, faultless):
    page = start()
    page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    faultless(page, [(1440, "light"), (390, "dark")])
