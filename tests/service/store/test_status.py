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


def test_an_illegal_transition_names_the_job_and_both_statuses():
    error = IllegalTransition("job_1", JobStatus.SUCCEEDED, JobStatus.QUEUED)
    assert str(error) == "job job_1 is succeeded and cannot become queued"
    assert (error.job_id, error.current, error.wanted) == ("job_1", "succeeded", "queued")
