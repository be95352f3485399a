from concurrent.futures import ThreadPoolExecutor

import pytest
from typer.testing import CliRunner

from service.cli import app
from service.local import announce_first_admin
from service.store.settings import Settings
from service.users.accounts import make_first_admin


@pytest.fixture
def paka_server(settings, monkeypatch):
    """Runs `paka-server` on the database; returns its result."""
    monkeypatch.setenv("PAKA_HOME", str(settings.home))
    monkeypatch.setenv("PAKA_DATABASE_URL", settings.database_url)

    def run(*arguments, **environment):
        return CliRunner().invoke(app, arguments, env=environment)

    return run


def test_users_are_kept_from_the_command_line(paka_server, ask, people, assert_problem):
    added = paka_server("user", "add", "ada", "--role", "viewer")
    people["ada"] = added.stdout.strip()
    assert ask("ada", "GET", "/me").json()["role"] == "viewer"
    assert "ada (viewer) may use the service" in added.stderr
    people["second"] = paka_server("user", "key", "ada").stdout.strip()
    assert ask("second", "GET", "/me").json()["name"] == "ada"
    listed = paka_server("user", "list").stdout
    assert [line.split()[:3] for line in listed.splitlines()[1:3]] == [
        ["ada", "viewer", "2"],
        ["admin", "admin", "1"],
    ]
    assert paka_server("user", "revoke", "ada").exit_code == 0
    people["third"] = "paka_unknown"
    tail = paka_server("audit", "--tail", "4").stdout
    assert [line.split()[4] for line in tail.splitlines()] == [
        "user.add",
        "key.add",
        "key.add",
        "user.revoke",
    ]
    assert "paka_" not in tail
    assert "ada                       viewer       0  revoked" in paka_server("user", "list").stdout


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_cannot_be_is_one_line(paka_server, people):
    for arguments, message in [
        (("add", "Ada"), "'Ada' is no user name: lower-case letters, digits and ._@-, 100 at most"),
        (("add", "owner"), "there is a user 'owner' already"),
        (("revoke", "admin"), "admin is the last admin: make another one first"),
        (("key", "nobody"), "there is no user 'nobody': see `paka-server user list`"),
        (("key", "local"), "local stands for a server without keys, and stays as is"),
    ]:
        done = paka_server("user", *arguments)
        assert (done.exit_code, done.stdout, done.stderr) == (1, "", f"error: {message}\n")


def test_a_database_without_tables_is_named(paka_server, tmp_path):
    done = paka_server("user", "list", PAKA_DATABASE_URL=f"sqlite:///{tmp_path}/new.db")
    assert done.exit_code == 1
    assert done.stderr.endswith("run `paka-server migrate`\n")


def test_the_first_start_makes_one_admin_however_many_processes_start(settings):
    locked = settings.model_copy(update={"auth": "on"})
    with ThreadPoolExecutor(4) as pool:
        keys = [key for key in pool.map(make_first_admin, [locked] * 4) if key]
    assert len(keys) == 1
    assert make_first_admin(locked) is None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_first_key_is_printed_once_and_works(paka_server, settings, serving):
    from service.app import create_app

    first, second = (paka_server("migrate", PAKA_HOST="0.0.0.0") for _ in range(2))
    (key,) = (line.strip() for line in first.stdout.splitlines() if "    paka_" in line)
    assert "paka_" not in second.stdout + second.stderr + first.stderr
    with serving(create_app(settings.model_copy(update={"auth": "on"}))) as api:
        me = api.get("/me", headers={"Authorization": f"Bearer {key}"})
    assert (me.json()["name"], me.json()["role"]) == ("admin", "admin")


def test_a_server_of_this_machine_only_makes_nobody(tmp_path):
    assert make_first_admin(Settings(home=tmp_path)) is None
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_is_away_keeps_nothing_from_starting(tmp_path, capsys):
    url = "postgresql://paka:word@127.0.0.1:1/paka"
    announce_first_admin(Settings(home=tmp_path, auth="on", database_url=url))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("note: whether anybody has a key is unknown: ")
    assert "word" not in shown.err
