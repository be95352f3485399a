"""What all pages share: the frame, signing in, being found faultless, light and offline."""

import re

import pytest
from playwright.sync_api import expect

from service.auth import keyring
from service.auth.secret import digest, new_token, server_secret
from service.store import users
from service.store.status import JobStatus
from service.web.site import STATIC

PAGES = {
    "#/jobs": "Jobs",
    "#/encoders": "Encoders",
    "#/datasets": "Data sets",
    "#/cluster": "Cluster",
}
MAX_BYTES = 300_000


@pytest.fixture(scope="module")
def locked(make_site):
    """A site that asks for keys."""
    return make_site(auth="on")


def add_key(site, name, role="member"):
    token = new_token()
    with site.database.write() as session:
        user = users.user_by_name(session, name) or users.add_user(session, name, role)
        users.add_key(session, user, digest(server_secret(site.settings), token))
    return token


@pytest.fixture(scope="module")
def filled(site):
    """A job of each kind of state; ids of the one that succeeded and of the one that runs."""
    site.add_job("waits")
    failed = site.start(site.add_job("has failed"))
    site.end(failed, JobStatus.FAILED, {"code": "diverged", "message": "the loss is not finite"})
    running = site.start(site.add_job("runs"))
    site.log(running, range(1, 21))
    done = site.start(site.add_job("is done"))
    site.log(done, range(1, 61), probe_effective_rank=30.0, grad_norm=0.5)
    site.add_checkpoint(done, 40)
    site.add_encoder(done, "is done")
    site.end(done, JobStatus.SUCCEEDED)
    return done.job_id, running.job_id


def test_an_unknown_address_leads_back(open_page):
    page = open_page("#/nothing")
    expect(page.get_by_role("heading", name="No such page")).to_be_visible()
    page.get_by_role("link", name="To the jobs").click()
    expect(page).to_have_title("Jobs · PaKA Service")


def test_a_page_takes_the_focus_and_marks_its_link(open_page):
    page = open_page()
    expect(page.get_by_role("heading", name="Jobs", level=1)).to_be_visible()
    page.get_by_role("navigation").get_by_role("link", name="Cluster").click()
    expect(page).to_have_title("Cluster · PaKA Service")
    expect(page.locator("nav [aria-current=page]")).to_have_text("Cluster")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Shift+Tab")  # from the content back into the frame
    assert page.evaluate("document.activeElement.textContent") == "New job"


def test_the_frame_can_be_skipped(open_page):
    page = open_page("#/cluster")
    expect(page.get_by_role("heading", name="Cluster")).to_be_visible()
    page.get_by_role("link", name="Skip to content").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    assert page.url.endswith("#/cluster")
    expect(page.get_by_role("heading", name="Cluster")).to_be_visible()


def test_no_page_has_serious_faults_or_is_too_wide(open_page, faultless, filled, site):
    done, running = filled
    page = open_page()
    more = {
        f"#/jobs/{done}": "is done",
        f"#/jobs/{running}": "runs",
        f"#/compare?ids={done},{running}": "Compare",
    }
    for address, heading in {**PAGES, **more}.items():
        page.goto(f"{site.url}/{address}")
        expect(page.get_by_role("heading", name=heading, level=1)).to_be_visible()
        if "job_" in address:
            expect(page.get_by_role("img", name="Loss")).to_be_visible()
        else:
            expect(page.locator("main .card").first).to_be_visible()
        faultless(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_its_colours_are_those_that_are_preferred(open_page, scheme):
    page = open_page(scheme=scheme)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(18, 20, 22)") is (scheme == "dark")


def test_the_whole_page_is_light():
    sizes = {file: file.stat().st_size for file in STATIC.rglob("*") if file.is_file()}
    assert sum(sizes.values()) < MAX_BYTES, sizes


def test_nothing_writes_markup():
    """Names are what users have typed: all is written as text."""
    for file in STATIC.rglob("*.js"):
        found = re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write", file.read_text()
        )
        assert found is None, file


def test_signing_in_and_out(open_page, axe, fits, locked):
    token = add_key(locked, "ada")
    refused = "the server responded with a status of 401"
    page = open_page("#/cluster", at=locked, width=390, allow=(refused,))
    field = page.get_by_label("Your key")
    expect(field).to_be_focused()
    assert field.get_attribute("type") == "password"
    assert axe(page) == []
    assert fits(page)
    field.fill("paka_" + "0" * 64)
    field.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("This key does not work")
    field.fill(f" {token} ")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Cluster")).to_be_visible()
    assert page.evaluate("document.cookie") == ""  # out of reach of scripts
    page.reload()
    expect(page.get_by_role("heading", name="Cluster")).to_be_visible()
    page.get_by_role("button", name="Sign out ada").click()
    expect(field).to_be_visible()
    page.reload()
    expect(field).to_be_visible()


def sign_in(page, token):
    page.get_by_label("Your key").fill(token)
    page.get_by_role("button", name="Sign in").click()


def test_who_could_not_be_signed_out_is_told_so(open_page, locked):
    page = open_page("#/cluster", at=locked, allow=("a status of 401", "net::ERR"))
    sign_in(page, add_key(locked, "una"))
    page.route("**/session", lambda route: route.abort())
    page.get_by_role("button", name="Sign out una").click()
    expect(page.get_by_text("The service does not answer.")).to_be_visible()
    expect(page.get_by_role("heading", name="Cluster")).to_be_visible()
    page.unroute("**/session")
    page.get_by_role("button", name="Sign out una").click()
    expect(page.get_by_label("Your key")).to_be_visible()


def test_a_revoked_key_leads_to_the_form(open_page, locked, let_pass, monkeypatch):
    monkeypatch.setattr(keyring, "REMEMBER_SECONDS", 0)
    token = add_key(locked, "eve")
    page = open_page(at=locked, allow=("a status of 401",), clock=True)
    page.get_by_label("Your key").fill(token)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("No jobs yet")).to_be_visible()
    with locked.database.write() as session:
        users.revoke_user(session, users.user_by_name(session, "eve"))
    let_pass(page, 2)
    expect(page.get_by_label("Your key")).to_be_visible()


def test_an_upload_without_a_key_leads_to_the_form(open_page, locked):
    page = open_page("#/datasets", at=locked, allow=("a status of 401",))
    sign_in(page, add_key(locked, "ulla"))
    archive = {"name": "x.zip", "mimeType": "application/zip", "buffer": b"x"}
    page.get_by_label("Archive").set_input_files(archive)
    page.context.clear_cookies()
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_label("Your key")).to_be_visible()


def test_a_viewer_is_offered_nothing_that_they_may_not_do(open_page, locked):
    token = add_key(locked, "vera", "viewer")
    page = open_page(at=locked, allow=("a status of 401",))
    page.get_by_label("Your key").fill(token)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("No jobs yet")).to_be_visible()
    expect(page.get_by_role("link", name="New job")).to_be_hidden()
    page.goto(f"{locked.url}/#/datasets")
    expect(page.get_by_role("heading", name="Data sets")).to_be_visible()
    expect(page.get_by_role("button", name="Upload")).to_have_count(0)


def test_while_the_service_is_away_the_page_says_so_and_recovers(open_page):
    page = open_page(allow=("net::ERR",), clock=True)
    expect(page.get_by_role("heading", name="Jobs", level=1)).to_be_visible()
    page.route("**/jobs?*", lambda route: route.abort())
    page.clock.run_for(5_000)
    expect(page.locator(".away")).to_contain_text("does not answer")
    page.unroute("**/jobs?*")
    page.clock.run_for(5_000)
    expect(page.locator(".away")).to_be_empty()


def test_what_was_said_of_one_page_does_not_stay_on_the_next(open_page):
    page = open_page("#/encoders", allow=("net::ERR",))
    page.route("**/cluster", lambda route: route.abort())
    page.get_by_role("link", name="Cluster").click()
    expect(page.locator(".away")).to_contain_text("does not answer")
    page.get_by_role("link", name="Encoders").click()
    expect(page.get_by_label("Search encoders")).to_be_visible()
    expect(page.locator(".away")).to_be_empty()


def test_a_question_is_gone_with_its_page(open_page, site):
    site.add_job("asked about")
    page = open_page("#/cluster")
    page.get_by_role("link", name="Jobs", exact=True).click()
    page.get_by_role("button", name="Cancel asked about").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Cluster")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_to_leave_a_page_that_waits_is_no_fault(open_page):
    page = open_page("#/encoders")
    page.route("**/encoders?*search=*", lambda route: None)  # never answered
    with page.expect_request("**/encoders?*search=*"):
        page.get_by_label("Search encoders").fill("anything")
    page.get_by_role("link", name="Cluster").click()
    expect(page.get_by_role("heading", name="Cluster")).to_be_visible()
    expect(page.locator(".notice.bad")).to_have_count(0)


def test_an_open_server_asks_for_no_key(open_page):
    page = open_page()
    expect(page.get_by_role("heading", name="Jobs", level=1)).to_be_visible()
    expect(page.get_by_role("button", name="Sign out")).to_have_count(0)
