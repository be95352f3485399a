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


def test_a_lower_limit_empties_it_and_gives_the_disk_back(make, path):
    file = make(10 * 2**20)
    file.put({bytes([n]): bytes(2**20) for n in range(10)})
    file.close()
    assert make(9 * 2**20).size() == 0
    assert sum(each.stat().st_size for each in path.parent.iterdir()) < 2**20


def test_a_value_takes_the_place_of_the_one_before(make):
    file = make()
    file.put({b"a": bytes(10)})
    file.put({b"a": b"12"})
    assert (file.get([b"a"]), file.size()) == ({b"a": b"12"}, 2)


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


def test_a_file_that_is_no_database_is_replaced(make, path):
    path.parent.mkdir()
    path.write_bytes(b"no database" * 1000)
    file = make()
    file.put({b"a": b"1"})
    assert file.get([b"a"]) == {b"a": b"1"}


def test_damage_among_the_values_is_noticed_once_and_the_file_replaced(make, path, caplog):
    before = make(2**20)
    before.put({bytes([n]): bytes(9000) for n in range(20)})
    before.close()
    content = path.read_bytes()
    sound = 5 * int.from_bytes(content[16:18], "big")  # the tables' first pages
    path.write_bytes(content[:sound] + b"?" * (len(content) - sound))
    one, two = make(2**20), make(2**20)
    for file in (one, two):
        file.get([bytes([n]) for n in range(20)])
        file.put({b"a": b"1"})
        file.put({b"a": b"1"})
    assert caplog.text.count("is damaged") == 2
    assert one.get([b"a"]) == two.get([b"a"]) == make(2**20).get([b"a"]) == {b"a": b"1"}


def test_a_total_that_is_wrong_is_damage_too(make, path):
    file = make()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE total SET size = 1000")
    connection.close()
    file.put({b"a": b"1"})
    assert file.size() == 0


def test_others_of_the_machine_cannot_read_it(make, path):
    make()
    assert path.parent.stat().st_mode & 0o077 == 0
