"""Where `.env` is, with a `docker` that answers as it is told."""

import pytest

from paka.doctor.finding import Level, Request
from service.doctor import compose

DOCKER = """#!/bin/sh
case "$*" in
    "compose version --short") {version} ;;
    info*) {info} ;;
esac
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "docker-compose.yml").touch()
    (tmp_path / "bin").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


@pytest.fixture
def docker(folder):
    def write(version="echo 2.40.3", info="echo '{\"runc\":{}}'"):
        file = folder / "bin" / "docker"
        file.write_text(DOCKER.format(version=version, info=info))
        file.chmod(0o755)

    return write


def write_env(folder, mode=0o600, **values):
    values = {
        "POSTGRES_PASSWORD": "x",
        "PAKA_DATA": str(folder),
        "COMPOSE_PROFILES": "cpu",
    } | values
    file = folder / ".env"
    file.write_text("# a comment\n" + "".join(f"{k}={v}\n" for k, v in values.items()))
    file.chmod(mode)


def look():
    return {finding.check: finding for finding in compose.check(Request())}


def test_without_settings_of_compose_docker_is_of_no_interest(folder):
    assert look() == {}
    write_env(folder)
    assert list(compose.check(Request(url="https://elsewhere"))) == []


def test_all_is_well(folder, docker):
    write_env(folder)
    docker()
    assert {finding.level for finding in look().values()} == {Level.OK}


def test_passwords_that_others_can_read_are_a_warning(folder, docker):
    write_env(folder, mode=0o644)
    docker()
    found = next(iter(compose.check(Request())))
    assert (found.level, found.remedy) == (Level.WARNING, f"chmod 600 {folder}/.env")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"POSTGRES_PASSWORD": "", "PAKA_DATA": ""}, "POSTGRES_PASSWORD and PAKA_DATA not set"),
        ({"PAKA_DATA": "/no/folder"}, "/no/folder is no folder"),
        ({"COMPOSE_PROFILES": "tls"}, "no worker will start"),
    ],
)
def test_settings_with_which_nothing_would_start_are_a_problem(folder, docker, values, words):
    write_env(folder, **values)
    docker()
    found = look()[".env"]
    assert found.level is Level.PROBLEM
    assert words in found.found


@pytest.mark.parametrize(
    ("answers", "check", "words"),
    [
        ({"version": "exit 1"}, "Compose", "docker has no compose"),
        ({"version": "echo v2.3.3"}, "Compose", "version v2.3.3, needed is 2.20"),
        ({"info": "exit 1"}, "Docker", "does not answer"),
        ({}, "Docker", "NVIDIA Container Toolkit is missing"),
    ],
)
def test_a_docker_that_cannot_run_it_is_a_problem(folder, docker, answers, check, words):
    write_env(folder, COMPOSE_PROFILES="gpu,tls")
    docker(**answers)
    found = look()[check]
    assert found.level is Level.PROBLEM
    assert words in found.found
    assert found.remedy


def test_no_docker_at_all_is_a_problem(folder):
    write_env(folder)
    assert look()["Docker"].found == "there is no docker"
