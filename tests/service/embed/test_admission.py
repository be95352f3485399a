import math

import pytest

from service.embed.admission import Admission
from service.errors import ApiError
from service.store.settings import Settings


@pytest.fixture
def admission():
    return Admission(Settings(embed_requests=2, embed_memory_bytes=2**20, embed_timeout_seconds=10))


def refusal(call, *arguments):
    """Status, code and `Retry-After` of what the call raises."""
    with pytest.raises(ApiError) as caught:
        call(*arguments)
    problem = caught.value.problem
    return problem.status, problem.code, (caught.value.headers or {}).get("Retry-After")


def test_only_so_many_requests_are_in_progress_at_once(admission):
    with admission.enter(), admission.enter():
        assert refusal(lambda: admission.enter().__enter__()) == (429, "embed_busy", "1")
    with admission.enter():
        pass


def test_requests_hold_only_so_much_memory_and_give_it_back(admission):
    with admission.enter() as first, admission.enter() as second:
        first.reserve(600_000)
        assert refusal(second.reserve, 600_000) == (429, "embed_busy", "1")
        second.reserve(400_000)
        assert refusal(second.reserve, 700_000) == (413, "request_too_large", None)
        assert admission.bytes == 1_000_000
    assert (admission.requests, admission.bytes) == (0, 0)


def test_a_request_that_fails_gives_its_place_back(admission):
    with pytest.raises(ZeroDivisionError), admission.enter() as place:
        place.reserve(1000)
        _ = 1 / 0
    assert (admission.requests, admission.bytes) == (0, 0)


def test_who_would_wait_for_too_long_is_refused_until_the_queue_is_shorter(admission):
    admission.check_wait(1000)  # nothing is known of the pace
    for _ in range(8):
        admission.note(place=4, seconds=2)
    admission.check_wait(20)
    assert refusal(admission.check_wait, 27) == (429, "embed_queue_full", "4")


def test_a_queue_that_is_less_than_half_full_is_taken_to_have_room_for_a_second(monkeypatch):
    monkeypatch.setattr("time.monotonic", lambda: 1000.0)
    admission = Admission(Settings(embed_queue_limit=4, embed_queue_bytes=2**21))
    for waiting, size, until in [(1, 0, 1001), (2, 0, -math.inf), (0, 2**20, -math.inf)]:
        admission.check_queue(waiting, size)
        assert admission.roomy_until == until
    admission.check_queue(0, 0)
    assert refusal(admission.check_queue, 4, 0) == (429, "embed_queue_full", "1")
    assert refusal(admission.check_queue, 0, 2**21) == (429, "embed_queue_full", "1")
    assert admission.roomy_until == -math.inf


def test_a_slow_answer_among_quick_ones_changes_nothing(admission):
    for seconds in (30, 0.5, 0.5, 0.5, 0.5):
        admission.note(place=1, seconds=seconds)
    admission.check_wait(20)


def test_one_answer_from_far_behind_shows_what_batches_save(admission):
    for _ in range(8):
        admission.note(place=1, seconds=1)
    assert refusal(admission.check_wait, 30) == (429, "embed_queue_full", "20")
    admission.note(place=64, seconds=4)
    admission.check_wait(30)


def test_who_is_refused_is_told_how_long_requests_take(admission):
    for _ in range(3):
        admission.note(place=1, seconds=6.5)
    assert admission.refusal("embed_busy", "").headers == {"Retry-After": "7"}
