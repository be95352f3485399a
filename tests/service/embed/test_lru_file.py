import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.embed import lru_file
from service.embed.lru_file import LruFile


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "values.db"


@pytest.fixture
def make(path):
    """Opens the file, as each process does; all are closed at the end."""
    made = []

    def make(limit=100):
        made.append(LruFile(path, limit))
        return made[-1]

    yield make
    for file in made:
        file.close()


def test_values_come_back_also_to_another_process(make):
    make().put({b"a": b"1", b"b": b"2"})
    assert make().get([b"a", b"b", b"c"]) == {b"a": b"1", b"b": b"2"}


def test_what_was_not_used_for_longest_leaves(make, monkeypatch):
    monkeypatch.setattr(lru_file, "TOUCH_SECONDS", 0)
    file = make(30)
    for key in (b"a", b"b", b"c"):
        assert file.put({key: bytes(10)}) == 0
    file.get([b"a"])
    assert file.put({b"d": bytes(15)}) == 2
    assert set(file.get([b"a", b"b", b"c", b"d"])) == {b"a", b"d"}
    assert file.size() == 25


def test_a_key_that_is_there_is_kept_once(make):
    file = make()
    file.put({b"a": bytes(10)})
    make().put({b"a": bytes(10)})
    assert file.size() == 10


def test_what_is_larger_than_all_is_not_kept(make):
    file = make(10)
    file.put({b"a": bytes(10)})
    assert file.put({b"b": bytes(11)}) == 0
    assert set(file.get([b"a", b"b"])) == {b"a"}


def test_a_lower_limit_holds_from_the_start_on(make):
    make(100).put({bytes([n]): bytes(10) for n in range(10)})
    assert make(35).size() == 30


def test_the_limit_holds_with_several_processes_and_threads(make, path):
    files = [make(100) for _ in range(3)]
    with ThreadPoolExecutor(6) as pool:
        writes = [
            pool.submit(files[n % 3].put, {n.to_bytes(4, "big"): bytes(1 + n % 20)})
            for n in range(120)
        ]
        for write in writes:
            write.result()
    with sqlite3.connect(path) as connection:
        [(total, real)] = connection.execute(
            "SELECT (SELECT size FROM total), (SELECT sum(length(value)) FROM entries)"
        )
    connection.close()
    assert 80 < total == real <= 100


def test_a_damaged_file_is_replaced(make, path):
    path.parent.mkdir()
    path.write_bytes(b"no database" * 1000)
    file = make()
    file.put({b"a": b"1"})
    assert file.get([b"a"]) == {b"a": b"1"}


def test_others_of_the_machine_cannot_read_it(make, path):
    make()
    assert path.parent.stat().st_mode & 0o077 == 0
