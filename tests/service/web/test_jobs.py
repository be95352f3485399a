"""The list of jobs, and comparing some of them."""

import json
import re

import pytest
from playwright.sync_api import expect

from service.store import jobs
from service.store.status import JobStatus

XSS = "<img src=x onerror=document.title='broken'>"


def row(page, name):
    return page.get_by_role("row").filter(has_text=name)


def test_without_jobs_it_tells_how_to_start(open_page):
    page = open_page()
    expect(page.get_by_role("heading", name="No jobs yet")).to_be_visible()
    link = page.get_by_role("link", name="Start a job")
    assert link.get_attribute("href") == "#/start"
    expect(page.locator("pre")).to_contain_text("curl -s http://127.0.0.1")


def test_it_follows_what_happens_and_keeps_the_focus(open_page, site, let_pass):
    """In place: the row that is looked at stays the same element."""
    waits = site.add_job("live")
    page = open_page(clock=True)
    mine = row(page, "live")
    expect(mine.locator(".status")).to_have_text("queued")
    expect(mine).to_contain_text("1st in line")
    box = mine.get_by_role("checkbox")
    box.focus()
    lease = site.start(waits)
    site.log(lease, [1, 2, 30])
    let_pass(page, 2)
    expect(mine.locator(".status")).to_have_text("running")
    expect(mine).to_contain_text("30 of 60 steps · loss 0.0333 · 50 images/s · 1 min left")
    assert mine.get_by_role("progressbar").get_attribute("aria-valuenow") == "50"
    expect(box).to_be_focused()
    site.end(lease, JobStatus.SUCCEEDED)
    let_pass(page, 2)
    expect(mine.locator(".status")).to_have_text("succeeded")


def test_it_is_filtered_and_the_address_remembers(open_page, site):
    site.end(
        site.start(site.add_job("went wrong")), JobStatus.FAILED, {"code": "x", "message": "y"}
    )
    site.add_job("goes on waiting")
    page = open_page()
    expect(row(page, "went wrong")).to_be_visible()
    page.get_by_label("Status").select_option("failed")
    expect(row(page, "goes on waiting")).to_have_count(0)
    expect(row(page, "went wrong")).to_be_visible()
    page.get_by_label("Search").fill("wrong")
    expect(page).to_have_url(f"{site.url}/#/jobs?status=failed&search=wrong")
    page.reload()
    expect(row(page, "went wrong")).to_be_visible()
    expect(row(page, "goes on waiting")).to_have_count(0)
    page.get_by_label("Status").select_option("")
    page.get_by_label("Search").fill("PHOTOS waiting")
    expect(row(page, "goes on waiting")).to_be_visible()
    expect(row(page, "went wrong")).to_have_count(0)
    page.get_by_label("User").fill("nobody")
    page.get_by_label("User").press("Enter")
    expect(page.get_by_text("No job matches these filters.")).to_be_visible()


def test_cancelling_asks_first_then_resuming_does_not(open_page, site):
    job = site.add_job("to be stopped")
    page = open_page()
    cancel = page.get_by_role("button", name="Cancel to be stopped")
    cancel.click()
    dialog = page.get_by_role("dialog", name="Cancel this job?")
    expect(dialog.get_by_role("button", name="Not now")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(cancel).to_be_focused()
    assert site.api.get(f"/jobs/{job}").json()["status"] == "queued"
    cancel.click()
    dialog.get_by_role("button", name="Cancel the job").click()
    expect(row(page, "to be stopped").locator(".status")).to_have_text("cancelled")
    expect(page.locator(".notices")).to_have_text("Cancelled: to be stopped")
    page.get_by_role("button", name="Resume to be stopped").click()
    expect(row(page, "to be stopped").locator(".status")).to_have_text("queued")


def test_deleting_asks_first(open_page, site):
    lease = site.start(site.add_job("to be gone"))
    site.end(lease, JobStatus.SUCCEEDED)
    page = open_page()
    page.get_by_role("button", name="Delete to be gone").click()
    page.get_by_role("button", name="Delete for good").click()
    expect(row(page, "to be gone")).to_have_count(0)
    assert site.api.get(f"/jobs/{lease.job_id}").status_code == 404


def test_what_the_service_refuses_is_said(open_page, site):
    lease = site.start(site.add_job("changed meanwhile"))
    page = open_page(allow=("a status of 409",))
    page.get_by_role("button", name="Cancel changed meanwhile").click()
    site.end(lease, JobStatus.SUCCEEDED)
    page.get_by_role("button", name="Cancel the job").click()
    expect(page.locator(".notices .bad")).to_contain_text("succeeded")


def test_a_name_is_text(open_page, site):
    job = site.add_job(XSS)
    page = open_page()
    expect(page.get_by_role("link", name=XSS)).to_be_visible()
    page.goto(f"{site.url}/#/jobs/{job}")
    expect(page.get_by_role("heading", name=XSS)).to_be_visible()
    assert page.locator("main img").count() == 0
    assert page.title() == f"{XSS} · PaKA Service"


def test_more_are_loaded_when_asked_for(open_page, site):
    with site.database.write() as session:
        for number in range(40):
            jobs.create(session, "embed", {}, request_sha256="0" * 64, name=f"many {number}")
    page = open_page("#/jobs?kind=embed")
    rows = page.get_by_role("row").filter(has_text="many")
    expect(rows).to_have_count(30)
    page.get_by_role("button", name="Load more").click()
    expect(rows).to_have_count(40)
    expect(page.get_by_role("button", name="Load more")).to_be_hidden()


def test_beyond_what_is_given_at_once_it_says_to_search(open_page):
    page = open_page("#/jobs?kind=embed")

    def claim_more(route):
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "has_more": True})

    page.route("**/jobs?*", claim_more)
    more, rest = (
        page.get_by_role("button", name="Load more"),
        page.get_by_text("found by searching"),
    )
    expect(more).to_be_visible()
    expect(rest).to_be_hidden()
    more.evaluate("(button) => { for (let i = 0; i < 40; i += 1) button.click(); }")
    expect(more).to_be_hidden()
    expect(rest).to_be_visible()
    page.unroute_all(behavior="wait")


@pytest.fixture
def two(site):
    """Two jobs that have ended; their learning rates differ."""
    made = []
    for name, rate in (("the first run", 1e-4), ("the second run", 2e-4)):
        lease = site.start(site.add_job(name, optim={"lr_encoder": rate}))
        site.log(lease, range(1, 61), lr_encoder=rate)
        site.end(lease, JobStatus.SUCCEEDED)
        made.append(lease.job_id)
    return made


def test_chosen_jobs_are_compared(open_page, two):
    page = open_page()
    page.get_by_label("Choose the first run").check()
    expect(page.get_by_role("region", name="Chosen jobs")).to_contain_text("one more")
    page.get_by_label("Choose the second run").check()
    page.get_by_role("link", name="Compare 2 jobs").click()
    expect(page).to_have_url(re.compile(r"#/compare\?ids=job_\w+(,|%2C)job_\w+$"))
    settings = page.get_by_role("region", name="Jobs and settings")
    expect(settings.get_by_role("row", name="optim.lr_encoder")).to_contain_text("0.0001")
    expect(settings.get_by_role("row", name="optim.lr_encoder")).to_contain_text("0.0002")
    expect(settings.get_by_role("row", name="optim.batch_size")).to_have_count(0)
    loss = page.locator("figure").filter(has=page.get_by_role("img", name="Loss"))
    assert loss.locator("path.line").count() == 4  # two curves, and two in the legend
    assert loss.locator("li").all_inner_texts() == ["the first run", "the second run"]


def test_a_choice_outlives_a_search_but_not_its_jobs(open_page, two):
    page = open_page()
    page.get_by_label("Choose the first run").first.check()
    page.get_by_label("Search").fill("second run")
    expect(row(page, "the first run")).to_have_count(0)
    page.get_by_label("Choose the second run").first.check()
    chosen = page.get_by_role("region", name="Chosen jobs")
    expect(chosen.get_by_role("link", name="Compare 2 jobs")).to_be_visible()
    page.get_by_role("button", name="Delete the second run").first.click()
    page.get_by_role("button", name="Delete for good").click()
    expect(chosen).to_contain_text("one more")


def test_more_jobs_than_can_be_compared_are_no_link(open_page, site):
    for number in range(13):
        site.add_job(f"one of many {number}")
    page = open_page("#/jobs?search=one+of+many")
    boxes = page.get_by_role("checkbox")
    expect(boxes).to_have_count(13)
    for box in boxes.all():
        box.check()
    chosen = page.get_by_role("region", name="Chosen jobs")
    expect(chosen).to_contain_text("13 chosen: 12 at most")
    expect(chosen.get_by_role("link")).to_have_count(0)
    boxes.first.uncheck()
    expect(chosen.get_by_role("link", name="Compare 12 jobs")).to_be_visible()


def test_a_job_has_one_colour_in_all_charts(open_page, site, two):
    lease = site.start(site.add_job("measured more"))
    site.log(lease, range(1, 4), grad_norm=1.0)
    page = open_page(f"#/compare?ids={two[0]},{lease.job_id}")
    page.get_by_text("More charts").click()
    for title, lines in (("Loss", 2), ("Gradient norm", 1)):
        chart = page.locator("figure").filter(has=page.get_by_role("img", name=title))
        expect(chart.locator(".plot path.line")).to_have_count(lines)
        expect(chart.locator(".plot path.line").last).to_have_class("line series-2 dash-0")


def test_the_focus_stays_while_a_comparison_is_brought_up_to_date(open_page, site, two, let_pass):
    lease = site.start(site.add_job("goes on"))
    page = open_page(f"#/compare?ids={two[0]},{lease.job_id}", clock=True)
    table = page.get_by_role("region", name="Jobs and settings")
    link = table.get_by_role("link", name="goes on")
    expect(link).to_be_visible()
    for step, part in ((7, table), (8, link)):
        part.focus()
        site.log(lease, [step])
        let_pass(page, 5)
        expect(table).to_contain_text(f"{step} of 60 steps")
        expect(part).to_be_focused()


def test_a_comparison_of_one_says_what_is_missing(open_page):
    page = open_page("#/compare?ids=job_x")
    expect(page.get_by_text("Choose two jobs or more")).to_be_visible()


def test_a_hidden_tab_asks_nothing(open_page, site):
    site.add_job("looked at")
    page = open_page(clock=True)
    expect(row(page, "looked at")).to_be_visible()
    page.evaluate(
        """Object.defineProperty(document, "hidden", {value: true, configurable: true});
        document.dispatchEvent(new Event("visibilitychange"))"""
    )
    page.clock.run_for(2500)  # the pause that may have begun
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(60_000)
    assert asked == []
    with page.expect_request("**/jobs?*"):
        page.evaluate(
            "delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))"
        )


def test_the_example_that_it_gives_makes_a_job(open_page, site):
    """What an empty list tells users to paste, as its words are sent."""
    page = open_page("#/jobs")
    source = page.evaluate("async () => (await fetch('/web/pages/jobs.js')).text()")
    body = re.search("EXAMPLE = '({.*})'", source)[1]
    assert site.api.post("/train", json=json.loads(body)).status_code == 202
