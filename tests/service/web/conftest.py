"""A real Chromium, and for each module a real API with jobs of its own for it to show.

A page that `open_page` gives fails its test if it logs an error, throws one, or asks another
server for anything.
"""

import hashlib
import shutil
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from service.store import attempts
from service.store.base import utc_now
from service.store.models import Encoder
from service.store.session import Database
from service.store.settings import Settings
from service.store.transitions import NewEvent

DESKTOP, PHONE = 1440, 390
LOOKS = [(width, scheme) for width in (DESKTOP, PHONE) for scheme in ("light", "dark")]
FRAME_PAINTED = "new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"
AXE = "axe.run(document, {resultTypes: ['violations']})"


class Site:
    """A running API, with the database and the settings behind it."""

    def __init__(self, api, settings, database):
        self.api, self.settings, self.database = api, settings, database
        self.url = str(api.base_url)

    def add_job(self, name, **fields):
        """Submit a training and return its id; nobody runs it."""
        body = {"preset": "tiny", "dataset": "photos", "name": name, **fields}
        answer = self.api.post("/train", json=body)
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def start(self, job_id):
        """Do what a worker does first; return its lease."""
        with self.database.write() as session:
            lease = attempts.claim(session, job_id, "worker-1", 600, worker="gpu-server:1")
        self.write(f"jobs/{job_id}/train.log", b"the first line\n")
        return lease

    def log(self, lease, steps, total=60, **values):
        """Note metrics, whose loss is one by the step."""
        rows = [
            {
                **{"step": step, "total_steps": total, "loss": 1 / step, "lr_encoder": 1e-4},
                **{"images_per_second": 20.0 + step, "eta_seconds": 2.0 * (total - step)},
                **values,
            }
            for step in steps
        ]
        events = [NewEvent("metrics", "", row, row["step"]) for row in rows]
        with self.database.write() as session:
            attempts.record(session, lease, 600, events, rows[-1])

    def end(self, lease, status, error=None):
        """End the job."""
        with self.database.write() as session:
            attempts.finish(session, lease, status, error)

    def add_checkpoint(self, lease, step):
        """Write one, and note it."""
        path = f"jobs/{lease.job_id}/checkpoints/step-{step:08d}"
        files = {"encoder.safetensors": self.write(f"{path}/encoder.safetensors", b"weights")}
        with self.database.write() as session:
            attempts.add_checkpoint(session, lease, step, path, files, utc_now())

    def add_encoder(self, lease, name, content=b"the result"):
        """Write the job's result, and note it; return its id."""
        path = f"jobs/{lease.job_id}/final/encoder.safetensors"
        encoder_id = lease.job_id.replace("job_", "enc_")
        encoder = Encoder(
            id=encoder_id,
            job_id=lease.job_id,
            name=name,
            architecture="vit_starter_patch16_224",
            base="vit_starter_patch16_224",
            path=path,
            steps=60,
            **self.write(path, content),
        )
        with self.database.write() as session:
            attempts.add_encoder(session, encoder)
        return encoder_id

    def write(self, path, content):
        """Write an artifact; return what a row says of it."""
        file = self.settings.artifacts_folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


@pytest.fixture(scope="module")
def make_site(serving, sqlite_template, redis_url, photos, tmp_path_factory):
    """Starts APIs with a fresh SQLite database each, and a data set `photos`; keywords are settings
    of theirs.
    """
    from contextlib import ExitStack

    from service.app import create_app

    with ExitStack() as stack:

        def make(**changes):
            home = tmp_path_factory.mktemp("home")
            file = home / "paka.db"
            shutil.copyfile(sqlite_template, file)
            shutil.copytree(photos, home / "data" / "photos")
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


@pytest.fixture(scope="module")
def context(browser):
    """Where the tabs of a module's tests are; an empty one stays open.

    A page's first load costs three times what the next one in the same context does.
    """
    with closing(browser.new_context()) as context:
        context.set_default_timeout(10_000)
        context.new_page()
        yield context


@pytest.fixture
def open_page(context, site):
    """Opens an address of the site, as `#/jobs`, in a tab of its own; returns Playwright's page.

    `allow` holds parts of errors in the console that the test means to cause. With `clock`, the
    test can move the page's time, with `let_pass`.
    """
    problems, empty = [], context.pages

    def open_page(path="", *, at=site, width=DESKTOP, scheme="light", allow=(), clock=False):
        page = context.new_page()
        page.emulate_media(reduced_motion="reduce")
        set_look(page, width, scheme)
        watch(page, urlsplit(at.url).netloc, allow, problems)
        if clock:
            page.clock.install()
        page.goto(f"{at.url}/{path}")
        return page

    yield open_page
    for page in context.pages:
        if page not in empty:
            page.close()
    context.clear_cookies()  # the page keeps nothing else
    assert problems == []


def set_look(page, width, scheme):
    """Show a page in a window of this width and in these colours."""
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)


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
def let_pass():
    """Lets time pass for a page that has a clock, and nobody wait: `let_pass(page, seconds)`.

    What is due by then happens once, as a poll. A page that polls just now begins its pause later,
    which then takes as long as it says: wait before for what the poll draws.
    """
    return lambda page, seconds: page.clock.fast_forward(1000 * seconds)


@pytest.fixture(scope="session")
def axe():
    """Finds what is serious or critical by axe-core: `axe(page)` returns (rule, element) pairs."""
    import axe_playwright_python

    script = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text()

    def find(page):
        if not page.evaluate("'axe' in window"):
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


@pytest.fixture(scope="session")
def faultless(axe, fits):
    """Fails unless a page has no serious faults and fits, in each of `looks`: (width, scheme)."""

    def faultless(page, looks=LOOKS):
        for width, scheme in looks:
            set_look(page, width, scheme)
            page.evaluate(FRAME_PAINTED)  # charts are drawn anew for their width
            assert axe(page) == [], (page.url, width, scheme)
            assert fits(page), (page.url, width, scheme)

    return faultless
