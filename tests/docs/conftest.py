"""One real service for all pages, and one folder in which their blocks run."""

import os
import shutil
import subprocess
import sys
import time
from contextlib import closing

import psutil
import pytest

from tests.docs.reader import SHORT, WARM, Reader
from tests.fixtures.servers import short_folder
from tests.fixtures.up import service_up


@pytest.fixture(scope="session")
def desk(photos, labelled_photos, tmp_path_factory):
    """The folder in which readers work: what the pages speak of is there.

    `data` is the service's data root, which the pages call `/data`.
    """
    folder = tmp_path_factory.mktemp("desk")
    for name, source in (
        ("photos", photos),
        ("camvid", labelled_photos),
        ("labelled", labelled_photos),
        ("toy", labelled_photos),
    ):
        shutil.copytree(source, folder / "data" / name)
        (folder / name).symlink_to(folder / "data" / name)
    shutil.copy(photos / "chelsea.jpg", folder / "cat.jpg")
    (folder / "srv/backups").mkdir(parents=True)
    return folder


@pytest.fixture(scope="session")
def home():
    """The service's home; its path leaves room for the name of a socket."""
    with short_folder() as folder:
        yield folder / "home"


@pytest.fixture(scope="session")
def up(desk, home):
    """The service that the pages speak to, `paka-server up --data /data`: its process, a client."""
    data = (desk / "data",)
    with service_up(home, desk.with_suffix(".log"), data, PYTHONPATH=str(SHORT)) as running:
        yield running


@pytest.fixture(scope="session")
def warm(home):
    """Socket of the process that runs the `paka` commands of the pages."""
    path = home.with_name("warm.sock")
    process = subprocess.Popen(
        [sys.executable, WARM / "server.py", path], env=os.environ | {"PYTHONPATH": str(SHORT)}
    )
    try:
        while not path.exists():
            assert process.poll() is None
            time.sleep(0.05)
        yield path
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def reader(desk, home, up, warm):
    """A reader of one page, to whom `leave` belongs once it is read."""
    process, client = up
    parts = psutil.Process(process.pid).children()
    [worker] = [part for part in parts if "paka.jobs" in part.cmdline()]
    with closing(Reader(desk, home, client, warm, worker)) as reading:
        yield reading
