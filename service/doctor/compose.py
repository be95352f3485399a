"""Docker Compose, where `.env` says that the service is run by it from this folder."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from paka.doctor.finding import Finding, Request, Topic, ok, problem, warning

OLDEST = (2, 20)


def check(request: Request) -> Iterator[Finding]:
    """Nothing unless there are `.env` and docker-compose.yml."""
    folder = Path.cwd()
    files = (folder / ".env", folder / "docker-compose.yml")
    if request.url is None and all(file.exists() for file in files):
        yield from look(files[0])


def look(env: Path) -> Iterator[Finding]:
    """Settings, Docker, and its way to the GPUs."""
    values = dict(
        line.split("=", 1)
        for line in env.read_text().splitlines()
        if "=" in line and line[0] != "#"
    )
    yield from _settings(env, values)
    yield from _docker("gpu" in values.get("COMPOSE_PROFILES", "").split(","))


def _settings(env: Path, values: Mapping[str, str]) -> Iterator[Finding]:
    mode = env.stat().st_mode & 0o777
    if mode & 0o077:
        found = f"{env} holds passwords, and has mode {mode:04o}"
        yield warning(".env", found, f"chmod 600 {env}")
    missing = [n for n in ("POSTGRES_PASSWORD", "PAKA_DATA") if not values.get(n)]
    if missing:
        yield problem(".env", f"{' and '.join(missing)} not set", "docker/setup.sh FOLDER")
    elif not Path(values["PAKA_DATA"]).is_dir():
        found = f"PAKA_DATA={values['PAKA_DATA']} is no folder"
        yield problem(".env", found, "mount it, or change PAKA_DATA in .env")
    elif not {"gpu", "cpu"} & set(values.get("COMPOSE_PROFILES", "").split(",")):
        found = "COMPOSE_PROFILES has neither gpu nor cpu: no worker will start"
        yield problem(".env", found, "COMPOSE_PROFILES=gpu in .env")
    else:
        yield ok(".env", f"profiles {values['COMPOSE_PROFILES']}, data {values['PAKA_DATA']}")


def _docker(gpu: bool) -> Iterator[Finding]:
    if shutil.which("docker") is None:
        yield problem("Docker", "there is no docker", "install Docker Engine")
        return
    version = _ask("docker", "compose", "version", "--short")
    if version is None:
        yield problem("Compose", "docker has no compose", "apt install docker-compose-plugin")
    elif tuple(map(int, version.lstrip("v").split(".")[:2])) < OLDEST:
        yield problem("Compose", f"version {version}, needed is 2.20", "update the Compose plugin")
    else:
        yield ok("Compose", f"version {version}")
    runtimes = _ask("docker", "info", "--format", "{{json .Runtimes}} {{json .CDISpecDirs}}")
    if runtimes is None:
        remedy = "systemctl start docker, or usermod -aG docker $(id -un)"
        yield problem("Docker", "does not answer", remedy)
    elif gpu and "nvidia" not in runtimes and not shutil.which("nvidia-ctk"):
        found = "the NVIDIA Container Toolkit is missing: workers cannot have GPUs"
        remedy = "install it; nvidia-ctk runtime configure --runtime=docker"
        yield problem("Docker", found, remedy)
    else:
        yield ok("Docker", "answers")


def _ask(*command: str) -> str | None:
    """What a command prints; None if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except subprocess.TimeoutExpired:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


TOPIC = Topic("Docker Compose", check)
