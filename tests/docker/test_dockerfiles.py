"""The Dockerfiles, as far as they can be checked without a Docker engine."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer

from service.cli import app
from service.store.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "docker").glob("Dockerfile.*"))
each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)


def instructions(file):
    """(instruction, arguments) of each line, continued lines joined, comments left out."""
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    text = "\n".join(lines).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def arguments(file, instruction):
    return [rest for name, rest in instructions(file) if name == instruction]


def test_there_is_an_image_for_the_api_and_one_for_workers():
    assert [file.name for file in FILES] == ["Dockerfile.api", "Dockerfile.worker"]


@each_file
def test_bases_are_pinned_to_a_full_version_and_the_last_stage_builds_nothing(file):
    bases = arguments(file, "FROM")
    assert len(bases) == 2
    for base in bases:
        assert re.match(r"python:\d+\.\d+\.\d+-slim-\w+( AS build)?$", base)
    names = [name for name, _ in instructions(file)]
    last_stage = instructions(file)[len(names) - names[::-1].index("FROM") :]
    assert not any("pip" in rest for name, rest in last_stage if name == "RUN")


@each_file
def test_the_process_is_not_root(file):
    assert arguments(file, "USER") == ["10001"]
    assert any("useradd --uid 10001" in run for run in arguments(file, "RUN"))


@each_file
def test_nothing_is_left_of_downloads(file):
    assert any("PIP_NO_CACHE_DIR=1" in env for env in arguments(file, "ENV"))
    for run in arguments(file, "RUN"):
        assert "apt-get" not in run or "rm -rf /var/lib/apt/lists/*" in run


@each_file
def test_only_files_that_reach_the_build_are_copied(file):
    assert not arguments(file, "ADD")
    allowed = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    for copy in arguments(file, "COPY"):
        *sources, _target = copy.split()
        if sources[0] != "." and not sources[0].startswith("--from=build"):
            assert set(sources) <= allowed


@each_file
def test_only_pinned_versions_and_extras_that_exist_are_installed(file):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = set(extras["optional-dependencies"])
    dependencies, project = (run for run in arguments(file, "RUN") if run.startswith("pip install"))
    wanted = re.fullmatch(r"pip install -c requirements.txt '\.\[([\w,]+)\]'", dependencies)
    assert set(wanted[1].split(",")) <= extras
    assert project == "pip install --no-deps -e ."


def test_the_image_of_the_api_has_no_torch():
    assert not re.search("torch|train", " ".join(arguments(FILES[0], "RUN")))


@each_file
def test_start_and_health_check_are_commands_that_exist(file):
    assert arguments(file, "ENTRYPOINT") == ['["tini", "--"]']
    (start,) = arguments(file, "CMD")
    (check,) = arguments(file, "HEALTHCHECK")
    check = json.loads(check.partition("CMD ")[2])
    if check[:2] == ["sh", "-c"]:
        checks = [shlex.split(part) for part in check[2].split("&&")]
    else:
        checks = [check]
    for program, command, *rest in [json.loads(start), *checks]:
        assert program == "paka-server"
        # Raises for an unknown command, option or value; nothing is run.
        typer.main.get_command(app).commands[command].make_context(command, rest)


@each_file
def test_settings_in_the_environment_can_be_read(file, monkeypatch):
    variables = dict(
        word.split("=", 1) for env in arguments(file, "ENV") for word in shlex.split(env)
    )
    ours = {name: value for name, value in variables.items() if name.startswith("PAKA_")}
    for name, value in ours.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert {name.removeprefix("PAKA_").lower() for name in ours} <= set(Settings.model_fields)
    assert settings.data_folders == (Path("/data"),)
    assert arguments(file, "VOLUME") == [str(settings.home)]
