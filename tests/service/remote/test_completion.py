"""What the shells are told when somebody presses the tabulator, by the very protocol."""

import pytest

from paka.cli import app
from service.cli import app as server_app
from service.remote import completion


@pytest.fixture
def complete(monkeypatch, capsys):
    """Completes a line for a shell; returns what it would offer."""

    def call(line, shell="bash", command=app, name="paka"):
        variable = f"_{name.upper().replace('-', '_')}_COMPLETE"
        monkeypatch.setenv(variable, f"complete_{shell}")
        words = line.split(" ")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", line)
        monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
        with pytest.raises(SystemExit):
            command(prog_name=name)
        return capsys.readouterr().out.splitlines()

    return call


def test_commands_of_paka_and_of_the_service(complete):
    assert complete("paka re") == ["remote"]
    assert {"train", "jobs", "logs"} <= set(complete("paka remote "))
    assert complete("paka remote train --pre") == ["--preset"]
    assert complete("paka-server mi", command=server_app, name="paka-server") == ["migrate"]


def test_names_that_this_machine_knows(complete):
    assert complete("paka remote train photos --preset t") == ["tiny"]
    assert "vit_starter_patch16_224" in complete("paka remote train x --encoder vit_sta")
    assert complete("paka train photos --preset t") == ["tiny"]
    assert "vit_starter_patch16_224" in complete("paka train x --encoder vit_sta")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_ids_that_the_service_knows(complete, api, job, shell, monkeypatch):
    monkeypatch.setenv("PAKA_URL", str(api.base_url))
    monkeypatch.setattr(completion, "_SECONDS", 30)  # a busy machine may take more than a second
    [offered] = complete("paka remote wait job_", shell)
    assert job["id"] in offered
    assert ("train queued" in offered) == (shell != "bash")


def test_a_service_that_is_away_says_nothing(complete, monkeypatch):
    monkeypatch.setenv("PAKA_URL", "http://127.0.0.1:1")
    assert complete("paka remote wait job_") in ([], [""])
