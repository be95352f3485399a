"""The command `paka remote`, in this process, for an API that serves over HTTP."""

import pytest
from typer.testing import CliRunner

from paka.cli import app


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    """No login, and no variables of the developer's."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("PAKA_URL", "PAKA_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run():
    """Calls `paka remote` and checks its exit code; returns its output, and then its messages."""

    def call(*arguments, code=0, **options):
        found = CliRunner().invoke(app, ["remote", *map(str, arguments)], **options)
        assert found.exit_code == code, found.output
        return found.stdout, found.stderr

    return call


@pytest.fixture
def remote(run, api, monkeypatch):
    """`run` for the API."""
    monkeypatch.setenv("PAKA_URL", str(api.base_url))
    return run
