"""A real Chromium, and a real API with jobs of its own for it to show; one of each a module.

A page that `open_page` gives fails its test if it logs an error, throws one, or asks another
server for anything.
"""

import os
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from service.store.session import Database
from service.store.settings import Settings

DESKTOP, PHONE = 1440, 390
AXE = "axe.run(document, {resultTypes: ['violations']})"


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window; its loop ends with the module, for other tests have their own."""
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("PAKA_CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on the path; set PAKA_CHROMIUM to its program")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


class Site:
    """A running API, with the database and the settings behind it."""

    def __init__(self, api, settings, database):
        self.api, self.settings, self.database = api, settings, database
        self.url = str(api.base_url)


@pytest.fixture(scope="module")
def make_site(serving, sqlite_template, redis_url, tmp_path_factory):
    """Starts APIs with a fresh SQLite database each; keywords are settings of theirs."""
    from contextlib import ExitStack

    from service.app import create_app

    with ExitStack() as stack:

        def make(**changes):
            home = tmp_path_factory.mktemp("home")
            file = home / "paka.db"
            shutil.copyfile(sqlite_template, file)
            (home / "data").mkdir()
            settings = Settings(
                home=home, database_url=f"sqlite:///{file}", redis_url=redis_url, **changes
            )
            database = Database(settings.database)
            stack.callback(database.close)
            api = stack.enter_context(serving(create_app(settings)))
            return Site(api, settings, database)

        yield make


@pytest.fixture(scope="module")
def site(make_site):
    """An API that is open to its own machine."""
    return make_site()


@pytest.fixture
def open_page(browser, site):
    """Opens an address of the site, as `#/jobs`, in a tab of its own; returns Playwright's page.

    `allow` holds parts of errors in the console that the test means to cause.
    """
    contexts, problems = [], []

    def open_page(path="", *, at=site, width=DESKTOP, scheme="light", allow=()):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        watch(page, urlsplit(at.url).netloc, allow, problems)
        page.goto(f"{at.url}/{path}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


def watch(page, host, allow, problems):
    """Note what a page must not do."""

    def on_message(message):
        if message.type == "error" and not any(part in message.text for part in allow):
            problems.append(message.text)

    def on_request(request):
        parts = urlsplit(request.url)
        if parts.scheme not in ("blob", "data") and parts.netloc != host:
            problems.append(f"asked for {request.url}")

    page.on("console", on_message)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", on_request)


@pytest.fixture(scope="session")
def axe():
    """Finds what is serious or critical by axe-core: `axe(page)` returns (rule, element) pairs."""
    import axe_playwright_python

    script = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text()

    def find(page):
        page.evaluate(script)  # as a tag the page's policy would block it
        found = page.evaluate(AXE)["violations"]
        return [
            (rule["id"], node["html"])
            for rule in found
            if rule["impact"] in ("serious", "critical")
            for node in rule["nodes"]
        ]

    return find


@pytest.fixture(scope="session")
def fits():
    """Whether a page's content is as wide as its window: `fits(page)`."""
    return lambda page: page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )
