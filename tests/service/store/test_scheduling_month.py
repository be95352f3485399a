"""A month of 20 users on 8 GPUs by the service's own policy; `-s` shows the tables."""

import pytest

from benchmarks.scheduling.account import Account, equal_shares, jain
from benchmarks.scheduling.month import DAYS, GPUS, HOUR, USERS, submissions
from benchmarks.scheduling.report import figures, simulate, table
from service.store.places import Running, Waiting


@pytest.fixture(scope="module")
def month():
    """What each policy makes of the same month."""
    outcomes = simulate(seed=0)
    print("\n" + table(outcomes))
    return outcomes


def test_the_month_is_a_busy_one():
    jobs = submissions(seed=0)
    assert len({job.user for job in jobs}) == USERS
    assert {job.slots for job in jobs} == {1, 2, 4, 8}
    assert {job.priority for job in jobs} == {0, 1, 2}
    asked = sum(job.slots * job.seconds for job in jobs) / (GPUS * DAYS * 24 * HOUR)
    assert asked == pytest.approx(0.85)
    assert jobs == submissions(seed=0) != submissions(seed=1)


def test_every_job_is_run_and_no_user_waits_without_bound(month):
    ours, first_fit = figures(month["ours"]), figures(month["first fit"])
    assert len(month["ours"].served) == len(submissions(seed=0))
    assert ours.longest_dry < 48 < first_fit.longest_dry
    light = [s.waited / HOUR for s in month["ours"].served if s.job.user >= "user-05"]
    assert max(light) < 96


def test_the_gpus_are_used_and_shared_more_evenly_than_by_plain_queues(month):
    ours, fifo, first_fit = (figures(month[name]) for name in ("ours", "fifo", "first fit"))
    assert ours.utilisation > 0.84
    assert ours.busy > 0.88 > fifo.busy
    assert ours.by_share > 0.88 > max(fifo.by_share, first_fit.by_share)
    assert ours.mean < fifo.mean / 3


def test_low_priority_makes_room_but_is_not_starved(month):
    assert month["ours"].preemptions > 0
    low = [s.waited / HOUR for s in month["ours"].served if s.job.priority == 0]
    assert max(low) < 96


def test_shares_are_equal_up_to_what_is_asked_for():
    assert equal_shares({"ada": 1, "bob": 100, "eve": 3}) == {"ada": 1, "eve": 3, "bob": 4}
    assert jain([1, 1, 1, 1]) == 1
    assert jain([1, 0, 0, 0]) == 0.25


def test_an_account_counts_only_while_somebody_waits():
    account = Account()
    holder = Running("job_1", "ada", 1, ("gpu-0", "gpu-1"), 0.0, 0.0)
    waiting = [Waiting("job_2", "bob", 1, 8, 0.0)]
    account.add(10.0, [], [holder])
    account.add(5.0, waiting, [holder])
    account.add(5.0, waiting, [])
    assert account.busy == 30
    assert (account.got["ada"], account.fair["ada"], account.wanted["bob"]) == (10, 10, 80)
    assert account.fair["bob"] == 5 * 6 + 5 * 8
    assert account.longest_dry == {"bob": 10}
