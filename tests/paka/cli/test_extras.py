import sys
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import pytest
import typer

from paka.cli import extras

others = typer.Typer()


@others.command()
def greet(name: str):
    """Say hello."""
    typer.echo(f"hello {name}")


@pytest.fixture
def installed(monkeypatch):
    """Another package that brings a command along."""
    monkeypatch.setitem(sys.modules, "others", SimpleNamespace(app=others))
    entry = EntryPoint("greet", "others:app", "paka.commands")
    monkeypatch.setattr(extras, "entry_points", lambda group: [entry])
    for cached in (extras._found, extras._load):
        cached.cache_clear()
    yield
    for cached in (extras._found, extras._load):
        cached.cache_clear()


def test_commands_of_other_packages_are_listed_and_run(paka, installed):
    assert "Say hello." in paka("--help").output
    assert paka("greet", "ada").output == "hello ada\n"
    assert paka("great").exit_code == 2


def test_own_commands_look_for_no_others(paka, monkeypatch):
    monkeypatch.setattr(extras, "entry_points", None)
    assert paka("encoders", "starter").exit_code == 0
