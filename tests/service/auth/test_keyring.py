import time
from datetime import timedelta

import pytest
from sqlalchemy import event, update

from service.auth import keyring
from service.auth.keyring import Keyring
from service.store import users
from service.store.base import utc_now
from service.store.models import ApiKey


@pytest.fixture
def ring(database, settings):
    return Keyring(database, settings)


@pytest.fixture
def statements(database):
    """The SQL that the database is sent from now on."""
    seen = []
    event.listen(database.engine, "before_cursor_execute", lambda *a: seen.append(a[2]))
    return seen


def test_a_key_names_its_user(ring, make_key):
    actor = ring.find(make_key("ada", "viewer"))
    assert (actor.name, actor.role) == ("ada", "viewer")
    assert actor.key_id.startswith("key_")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("token", ["", "paka_", "paka_" + "0" * 64, "é\x00", "a" * 10_000])
def test_what_is_no_key_names_nobody(ring, token):
    assert ring.find(token) is None


def test_the_database_holds_no_key(database, make_key):
    token = make_key("ada")
    with database.read() as session:
        (key,) = users.keys_of(session, users.user_by_name(session, "ada").id)
    assert token.removeprefix("paka_") not in str(vars(key))


def test_a_known_key_costs_no_question_for_a_while(ring, make_key, statements, monkeypatch):
    token = make_key("ada")
    actor = ring.find(token)
    statements.clear()
    assert ring.recall(token) == actor
    assert statements == []
    later = time.monotonic() + 10
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert ring.recall(token) is None


def test_a_revoked_key_works_no_longer_than_it_is_remembered(ring, make_key, database, monkeypatch):
    monkeypatch.setattr(keyring, "REMEMBER_SECONDS", 0.2)
    token = make_key("ada")
    assert ring.find(token)
    with database.write() as session:
        users.revoke_user(session, users.user_by_name(session, "ada"))
    assert ring.find(token) is None
    assert ring.recall(token) is None
    time.sleep(0.25)
    assert ring.recall(token) is None


def test_a_key_is_remembered_no_longer_than_it_works(ring, make_key):
    token = make_key("ada", expires_in=0.3)
    assert ring.find(token)
    time.sleep(0.35)
    assert ring.recall(token) is None
    assert ring.find(token) is None


def test_the_last_use_is_written_once_a_minute(ring, make_key, database, statements):
    token = make_key("ada")
    for _ in range(3):
        ring.find(token)
    assert sum(sql.startswith("UPDATE") for sql in statements) == 1
    with database.write() as session:
        session.execute(update(ApiKey).values(last_used_at=utc_now() - timedelta(seconds=61)))
    statements.clear()
    ring.find(token)
    with database.read() as session:
        (key,) = users.keys_of(session, users.user_by_name(session, "ada").id)
    assert utc_now() - key.last_used_at < timedelta(seconds=30)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_database_that_takes_no_writes_lets_in_all_the_same(ring, make_key, database, caplog):
    token = make_key("ada")
    event.listen(database.engine, "connect", lambda conn, _: conn.execute("PRAGMA query_only = on"))
    database.engine.dispose()
    assert ring.find(token).name == "ada"
    assert "could not be noted" in caplog.text
