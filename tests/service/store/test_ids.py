import re
from itertools import pairwise

from service.store.ids import made_at, new_id


def test_an_id_is_its_prefix_and_26_characters_of_crockfords_base_32():
    assert re.fullmatch(r"job_[0-7][0-9a-hjkmnp-tv-z]{25}", new_id("job"))
    assert new_id("enc").startswith("enc_")


def test_ids_are_unique():
    assert len({new_id("job") for _ in range(10_000)}) == 10_000


def test_sorting_by_id_sorts_by_the_millisecond_of_creation(monkeypatch):
    times = [0, 1, 31, 32, 1_763_900_000_000, 1_763_900_000_001, 2**48 - 1]
    made = []
    for milliseconds in times:
        monkeypatch.setattr("service.store.ids.time.time_ns", lambda ms=milliseconds: ms * 10**6)
        made.append([new_id("job") for _ in range(20)])
    for earlier, later in pairwise(made):
        assert max(earlier) < min(later)


def test_the_first_ten_characters_are_the_time(monkeypatch):
    # 1469918176385 ms is the example of the ULID specification: 01ARYZ6S41.
    monkeypatch.setattr("service.store.ids.time.time_ns", lambda: 1_469_918_176_385 * 10**6)
    assert new_id("job")[:14] == "job_01aryz6s41"
    assert made_at(new_id("job")) == 1_469_918_176.385
