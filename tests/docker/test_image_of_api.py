"""Does in a clean environment what docker/Dockerfile.api does, and runs what its image runs."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """Folder of the environment's programs, made by the file's own `pip install` lines."""
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        pytest.skip("needs uv, which `make setup` installs")
    folder = tmp_path_factory.mktemp("image")
    environment = clean_environment(folder / "venv" / "bin")
    environment["VIRTUAL_ENV"] = str(folder / "venv")
    context = folder / "app"
    context.mkdir()
    subprocess.run([uv, "venv", "-q", "-p", sys.executable, folder / "venv"], check=True)
    for line in re.findall(r"^(?:RUN pip|COPY) (?!--from).*", file_text(), re.MULTILINE):
        if line.startswith("COPY"):
            copy(line.split()[1:-1], context)
        else:
            command = f"'{uv}' -q {line.removeprefix('RUN ')}"
            subprocess.run(command, shell=True, check=True, cwd=context, env=environment)
    return folder / "venv" / "bin"


def file_text():
    return (ROOT / "docker" / "Dockerfile.api").read_text()


def copy(sources, context):
    """Copy as Docker would: `.` stands for what .dockerignore lets through."""
    ignore = (ROOT / ".dockerignore").read_text()
    if sources == ["."]:
        sources = re.findall(r"^!(.+)", ignore, re.MULTILINE)
    for source in sources:
        if (ROOT / source).is_dir():
            hidden = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / source, context / source, ignore=hidden)
        elif (ROOT / source).exists():
            shutil.copy(ROOT / source, context)


def clean_environment(programs):
    """This process's environment without what points to the development environment."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return environment | {"PATH": f"{programs}:/usr/bin:/bin"}


def run(image, *command, **variables):
    return subprocess.run(
        command,
        env=clean_environment(image) | variables,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_application_is_imported_without_torch(image):
    code = (
        "import importlib.util, service.app, sys;"
        "print(importlib.util.find_spec('torch'), service.app.__file__)"
    )
    result = run(image, "python", "-W", "error", "-c", code)
    assert result.returncode == 0, result.stderr
    torch, file = result.stdout.split()
    assert torch == "None"
    assert Path(file) == image.parents[1] / "app" / "service" / "app.py"


def test_a_worker_is_refused_with_what_it_needs(image):
    result = run(image, "paka-server", "worker")
    assert (result.returncode, result.stderr) == (
        1,
        "error: a worker needs torch: install paka-service[train,server]\n",
    )


def test_migrations_api_and_health_check_run(image, redis_url, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    settings = {"PAKA_HOME": str(tmp_path), "PAKA_REDIS_URL": redis_url, "PAKA_PORT": port}
    migrated = run(image, "paka-server", "migrate", **settings)
    assert migrated.returncode == 0, migrated.stderr
    api = subprocess.Popen(
        ["paka-server", "api"],
        env=clean_environment(image) | settings,
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        executable=image / "paka-server",
    )
    try:
        wait_for_http(api, f"http://127.0.0.1:{port}/health")
        check = run(image, "paka-server", "check", "api", **settings)
        assert (check.returncode, check.stdout) == (0, "api: alive\n")
        api.terminate()
        assert api.wait(timeout=20) in (0, -15)
    finally:
        api.kill()
        api.wait()
    check = run(image, "paka-server", "check", "api", **settings)
    assert (check.returncode, check.stdout) == (1, "api: not alive\n")


def wait_for_http(process, url):
    until = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.1)
