from itertools import product

import pytest

from service.store.status import TERMINAL, IllegalTransition, JobStatus, allowed

LEGAL = {
    ("queued", "running"),
    ("queued", "cancelled"),
    ("running", "queued"),
    ("running", "succeeded"),
    ("running", "failed"),
    ("running", "cancelled"),
    ("failed", "queued"),
    ("cancelled", "queued"),
}


@pytest.mark.parametrize(("before", "after"), list(product(JobStatus, repeat=2)))
def test_exactly_the_agreed_transitions_are_legal(before, after):
    assert ((before, after) in allowed()) == ((str(before), str(after)) in LEGAL)


def test_the_ends_are_succeeded_failed_and_cancelled_and_only_success_is_final():
    assert {"succeeded", "failed", "cancelled"} == TERMINAL
    assert set(JobStatus) - {before for before, _ in allowed()} == {"succeeded"}


def test_an_illegal_transition_says_which_jobs_may_take_it():
    error = IllegalTransition("job_1", JobStatus.SUCCEEDED, "resumed")
    assert str(error) == "job job_1 is succeeded; only failed and cancelled jobs can be resumed"
