"""One job's page."""

import json
import shutil

import pytest
from playwright.sync_api import expect

from service.jobs.reports import REPORT_EXAMPLE
from service.store.status import JobStatus


@pytest.fixture
def running(site):
    """The lease of a job that is at step 20 of 60."""
    lease = site.start(site.add_job("a run"))
    site.log(lease, range(1, 21))
    return lease


def write_log(site, lease, text):
    """Add to a job's log, as its process does."""
    with (site.settings.job_folder(lease.job_id) / "train.log").open("a") as log:
        log.write(text)


def chart(page, name):
    return page.locator("figure").filter(has=page.get_by_role("img", name=name, exact=True))


def test_it_is_followed_live_to_its_end(open_page, site, running, let_pass):
    page = open_page(f"#/jobs/{running.job_id}", clock=True)
    expect(page.get_by_role("heading", name="a run", level=1)).to_be_visible()
    expect(page.locator(".figures")).to_contain_text("20 of 60 steps")
    expect(page.locator(".figures")).to_contain_text("1 min")
    expect(chart(page, "Loss").locator(".summary")).to_have_text("1 → 0.05 at step 20, lowest 0.05")
    expect(page.get_by_role("region", name="Log")).to_have_text("the first line\n")
    site.log(running, [40])
    write_log(site, running, "and é, the second\n")
    site.add_checkpoint(running, 40)
    expect(chart(page, "Loss").locator(".summary")).to_contain_text("0.025 at step 40")
    let_pass(page, 2)
    expect(page.locator(".figures")).to_contain_text("40 of 60 steps")
    expect(page.get_by_role("region", name="Log")).to_have_text(
        "the first line\nand é, the second\n"
    )
    expect(page.get_by_role("link", name="Download Step 40")).to_be_visible()
    encoder = site.add_encoder(running, "a run")
    site.end(running, JobStatus.SUCCEEDED)
    let_pass(page, 2)
    expect(page.locator(".title .status")).to_have_text("succeeded")
    expect(page.get_by_text("Checkpoint at step 40")).to_be_visible()
    explore = page.get_by_role("link", name="Explore before and after").get_attribute("href")
    assert explore == f"#/explore?a=vit_starter_patch16_224&b={encoder}"
    expect(page.locator(".facts")).to_contain_text(encoder)
    with page.expect_download() as download:
        page.get_by_role("link", name="Weights").click()
    assert download.value.path().read_bytes() == b"the result"
    with page.expect_download() as download:
        page.get_by_role("link", name="Download Step 40").click()
    assert download.value.path().read_bytes() == b"weights"


def test_what_failed_to_come_as_the_job_ended_comes_later(open_page, site, running, let_pass):
    page = open_page(f"#/jobs/{running.job_id}", allow=("a status of 503",), clock=True)
    log = page.get_by_role("region", name="Log")
    expect(log).to_have_text("the first line\n")
    expect(page.locator(".title .status")).to_have_text("running")

    def end(route):
        write_log(site, running, "the last line\n")
        site.end(running, JobStatus.SUCCEEDED)
        route.continue_()

    page.route(f"**/jobs/{running.job_id}", end, times=1)
    page.route("**/log?*", lambda route: route.fulfill(status=503), times=1)
    let_pass(page, 2)
    expect(page.locator(".away")).not_to_be_empty()
    let_pass(page, 3)  # a poll that failed is followed by a longer pause
    expect(page.locator(".title .status")).to_have_text("succeeded")
    expect(log).to_have_text("the first line\nthe last line\n")


def test_an_action_during_a_poll_does_not_repeat_the_log(open_page, site, running, let_pass):
    page = open_page(f"#/jobs/{running.job_id}", clock=True)
    log = page.get_by_role("region", name="Log")
    expect(log).to_have_text("the first line\n")
    expect(page.get_by_role("button", name="Pin")).to_be_visible()
    held = []
    with page.expect_request("**/log?*"):
        page.route("**/log?*", lambda route: held.append(route), times=1)
        write_log(site, running, "the second\n")
        let_pass(page, 2)
    page.get_by_role("button", name="Pin").click()
    page.wait_for_timeout(500)  # in which nobody may ask for the same lines
    held[0].continue_()
    expect(page.get_by_role("button", name="Pinned")).to_be_visible()
    write_log(site, running, "the third\n")
    let_pass(page, 2)
    expect(log).to_have_text("the first line\nthe second\nthe third\n")


def test_a_chart_is_read_by_keys_and_as_a_table(open_page, running):
    page = open_page(f"#/jobs/{running.job_id}")
    loss = chart(page, "Loss")
    expect(loss.locator(".summary")).to_contain_text("at step 20")
    loss.get_by_role("img").focus()
    page.keyboard.press("End")
    expect(loss.locator("output")).to_have_text("step 200.05")
    page.keyboard.press("ArrowLeft")
    expect(loss.locator("output")).to_contain_text("step 19")
    page.keyboard.press("Home")
    expect(loss.locator("output")).to_have_text("step 11")
    loss.get_by_text("As a table").click()
    expect(loss.get_by_role("row")).to_have_count(21)
    before = loss.locator("path.line").get_attribute("d")
    loss.get_by_role("button", name="Log").click()
    expect(loss.locator("path.line")).not_to_have_attribute("d", before)
    loss.get_by_role("button", name="Smooth").click()
    expect(loss.locator("path.line")).to_have_count(2)  # as it is, and smoothed


def test_metrics_that_nobody_foresaw_get_a_chart(open_page, site, running):
    site.log(running, [30], made_up=7.0, teacher_seconds=0.25)
    page = open_page(f"#/jobs/{running.job_id}")
    expect(chart(page, "Seconds a step").locator(".summary")).to_have_text("0.25 s at step 30")
    page.get_by_text("More charts").click()
    expect(chart(page, "made up").locator(".summary")).to_have_text("7 at step 30")


def test_name_visibility_priority_and_pin_are_changed(open_page, site, running):
    page = open_page(f"#/jobs/{running.job_id}")
    page.get_by_role("button", name="Rename").click()
    page.get_by_label("Name of the job").fill("a better name")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="a better name")).to_be_visible()
    expect(page.get_by_role("button", name="Rename")).to_be_focused()
    page.get_by_label("Seen by").select_option("private")
    expect(page.locator(".notices")).to_have_text("Saved")
    page.get_by_label("Priority").select_option("low")
    page.get_by_role("button", name="Pin").click()
    expect(page.get_by_role("button", name="Pinned")).to_have_attribute("aria-pressed", "true")
    job = site.api.get(f"/jobs/{running.job_id}").json()
    assert [job["name"], job["visibility"], job["priority"]] == ["a better name", "private", "low"]


def test_a_job_that_is_not_shown_yet_cannot_be_renamed(open_page, context, running):
    context.route("**/log?*", lambda route: None)
    try:
        page = open_page(f"#/jobs/{running.job_id}")
        expect(page.locator(".job-head")).to_be_visible()
        expect(page.get_by_role("button", name="Rename")).to_be_hidden()
    finally:
        context.unroute("**/log?*")  # lets go on what was held
    expect(page.get_by_role("button", name="Rename")).to_be_visible()


def test_what_somebody_has_under_their_hand_stays(open_page, site, running, let_pass):
    page = open_page(f"#/jobs/{running.job_id}", clock=True)
    loss, priority = chart(page, "Loss"), page.get_by_label("Priority")
    loss.get_by_text("As a table").click()
    values = loss.get_by_role("region", name="Values")
    priority.evaluate("each => { each.mark = true; }")
    values.evaluate("each => { each.focus(); each.scrollTop = 50; }")
    facts = page.locator(".facts")
    before = facts.inner_text()
    site.log(running, [21])
    expect(values.get_by_role("row")).to_have_count(22)
    expect(values).to_be_focused()
    assert values.evaluate("each => each.scrollTop") == 50
    let_pass(page, 2)
    expect(facts).not_to_have_text(before, use_inner_text=True)  # for how long it has been running
    assert priority.evaluate("each => each.mark")


def test_a_choice_that_is_refused_is_taken_back(open_page, running):
    page = open_page(f"#/jobs/{running.job_id}", allow=("a status of 403",))
    refusal = {"title": "Forbidden", "detail": "this is not yours"}
    page.route(
        f"**/jobs/{running.job_id}",
        lambda route: (
            route.fulfill(status=403, json=refusal)
            if route.request.method == "PATCH"
            else route.fallback()
        ),
    )
    page.get_by_label("Priority").select_option("low")
    expect(page.locator(".notices .bad")).to_have_text("this is not yours")
    expect(page.get_by_label("Priority")).to_have_value("normal")


def test_a_failure_says_why_and_is_resumed(open_page, site, running):
    site.add_checkpoint(running, 20)
    site.end(running, JobStatus.FAILED, {"code": "diverged", "message": "the loss is not finite"})
    page = open_page(f"#/jobs/{running.job_id}")
    failure = page.get_by_role("region", name="Why it failed")
    expect(failure).to_contain_text("the loss is not finite")
    expect(failure).to_contain_text("goes on from its checkpoint at step 20")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".title .status")).to_have_text("queued")
    expect(failure).to_have_count(0)
    site.log(site.start(running.job_id), [20, 21])  # another attempt, which the page follows
    expect(chart(page, "Loss").locator(".summary")).to_contain_text("at step 21")
    expect(page.get_by_text("Running, attempt 2")).to_be_visible()


def copied(page):
    """What "Copy curl" copies."""
    page.evaluate("() => { navigator.clipboard.writeText = async (text) => { copied = text } }")
    page.get_by_role("button", name="Copy curl").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    return page.evaluate("copied")


def test_settings_are_copied_as_the_request_that_repeats_the_job(open_page, site, running):
    encoder = site.add_encoder(running, "a run")
    site.end(running, JobStatus.SUCCEEDED)
    job = site.add_job("the next", encoder=encoder, visibility="private", priority="low")
    page = open_page(f"#/jobs/{job}")
    expect(page.get_by_text("Preset tiny, but for 1 setting (bold)")).to_be_visible()
    page.get_by_text("optim", exact=True).click()
    expect(page.locator(".settings").filter(has_text="batch_size")).to_contain_text("16")
    body = json.loads(copied(page).split("-d '")[1][:-1])
    assert body["encoder"] == encoder  # members may not name the path of its weights
    answer = site.api.post("/train", json=body)
    assert answer.status_code == 202, answer.text
    before, again = site.api.get(f"/jobs/{job}").json(), answer.json()
    for field in ("name", "config", "visibility", "priority"):
        assert again[field] == before[field]


def test_where_keys_are_needed_the_request_has_one(open_page, site, running):
    page = open_page(f"#/jobs/{running.job_id}")
    answer = {**site.api.get("/me").json(), "key": "that of the session"}
    page.route("**/me", lambda route: route.fulfill(json=answer))
    page.reload()
    assert '-H "Authorization: Bearer $PAKA_KEY"' in copied(page)


def test_what_differs_from_the_preset_stands_out(open_page, site):
    job = site.add_job("changed", optim={"lr_encoder": 0.01, "max_steps": 7})
    page = open_page(f"#/jobs/{job}")
    expect(page.get_by_text("Preset tiny, but for 2 settings (bold)")).to_be_visible()
    page.get_by_text("optim · 2 differ").click()
    assert page.locator(".settings strong").all_inner_texts() == ["7", "0.01"]


def test_a_report_is_shown_with_its_intervals(open_page, site, labelled_photos, running, fits):
    data = site.settings.data_folders[0] / "labelled"
    shutil.copytree(labelled_photos, data, dirs_exist_ok=True)
    lease = site.start(site.add_job("measured", evaluate={"dataset": "labelled"}))
    before, after = REPORT_EXAMPLE["encoders"]
    long = "enc_01m8cm0nzc8yk1rvj295y1nkqs"
    base = {**REPORT_EXAMPLE["results"][0], "encoder": before["name"], "difference": None}
    report = {**REPORT_EXAMPLE, "notes": ["the linear head was left out"]}
    report["encoders"] = [before, {**after, "name": long}]
    changed = {**REPORT_EXAMPLE["results"][0], "encoder": long}
    report["results"] = [{**base, "value": 0.39}, changed]
    site.write(f"jobs/{lease.job_id}/evaluation/report.json", json.dumps(report).encode())
    site.write(f"jobs/{lease.job_id}/evaluation/report.html", b"<title>With pictures</title>")
    site.end(lease, JobStatus.SUCCEEDED)
    page = open_page(f"#/jobs/{lease.job_id}")
    measured = page.get_by_role("row", name="In context")
    expect(measured).to_contain_text("39.0 %")
    expect(measured).to_contain_text("41.0 %39.0 \u2013 43.0 %")
    expect(measured).to_contain_text("+2.0")
    expect(measured).to_contain_text("+1.0 to +3.0, more")
    expect(page.get_by_text("the linear head was left out")).to_be_visible()
    with page.expect_popup() as popup:
        page.get_by_role("link", name="With pictures").click()
    expect(popup.value).to_have_title("With pictures")
    page.set_viewport_size({"width": 390, "height": 900})
    assert fits(page)


def test_features_of_an_embedding_are_downloaded(open_page, site):
    request = {"encoder": "vit_starter_patch16_224", "dataset": "photos"}
    job = site.api.post("/embed", json=request).json()["id"]
    lease = site.start(job)
    index = {"images": 2, "shards": [{"file": "features-00000.safetensors", "images": ["a", "b"]}]}
    site.write(f"jobs/{job}/features/index.json", json.dumps(index).encode())
    site.write(f"jobs/{job}/features/features-00000.safetensors", b"features")
    site.end(lease, JobStatus.SUCCEEDED)
    page = open_page(f"#/jobs/{job}")
    expect(page.get_by_text("2 images")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download features-00000.safetensors").click()
    assert download.value.path().read_bytes() == b"features"


def test_a_job_that_is_not_there(open_page, site):
    page = open_page("#/jobs/job_00000000000000000000000000", allow=("a status of 404",))
    expect(page.get_by_role("alert")).to_contain_text("there is no job")


def test_deleting_leads_back_to_the_list(open_page, site, running, let_pass):
    site.end(running, JobStatus.CANCELLED)
    page = open_page(f"#/jobs/{running.job_id}", clock=True)
    asked = []

    def delete_late(route):  # polls would find the job gone
        answer = route.fetch()
        page.on("request", lambda request: asked.append(request.url))
        for _ in range(3):
            let_pass(page, 2)
            page.evaluate("fetch('/me')")  # is answered after what is asked for now
        route.fulfill(response=answer)

    def on_job(route):
        delete_late(route) if route.request.method == "DELETE" else route.continue_()

    page.route(f"**/jobs/{running.job_id}", on_job)
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_role("heading", name="Jobs", level=1)).to_be_visible()
    assert [url for url in asked if running.job_id in url] == []
    assert site.api.get(f"/jobs/{running.job_id}").status_code == 404


def test_a_job_that_could_not_be_deleted_is_shown_on(open_page, site, running, let_pass):
    site.end(running, JobStatus.CANCELLED)
    page = open_page(f"#/jobs/{running.job_id}", allow=["503"], clock=True)
    refusal = {"status": 503, "json": {"detail": "not now"}}

    def on_job(route):
        route.fulfill(**refusal) if route.request.method == "DELETE" else route.continue_()

    page.route(f"**/jobs/{running.job_id}", on_job)
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_text("not now")).to_be_visible()
    expect(page.get_by_role("heading", name="a run")).to_be_visible()
    site.api.patch(f"/jobs/{running.job_id}", json={"name": "another name"})
    let_pass(page, 2)
    expect(page.get_by_role("heading", name="another name")).to_be_visible()
