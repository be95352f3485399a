"""The policy for jobs of several nodes: by example, then what must hold of any decision."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from service.store.forecast import forecast
from service.store.places import Share, Slot, Worker, holders
from service.store.preemption import preempt
from service.store.scheduling import Rules, decide, place
from tests.service.store.test_scheduling import (
    HOUR,
    LOW,
    NOW,
    emptied,
    gpus,
    in_another_order,
    placed,
    running,
    state,
    states,
    waiting,
    without_limits,
)

TWO_HOSTS = [gpus(2, "a"), gpus(2, "b")]


def gang(number, slots=4, nodes=2, user="ada", **values):
    return waiting(number, user, slots=slots, nodes=nodes, **values)


def test_each_node_gets_as_many_slots_and_the_worker_that_asks_is_the_first():
    (decision,) = place(state([gang(1)], [gpus(3, "b"), gpus(2, "a")]))
    assert decision.shares == (Share("b", ("b0", "b1")), Share("a", ("a0", "a1")))
    assert (decision.worker, decision.slots) == ("b", ("b0", "b1", "a0", "a1"))


def test_all_nodes_start_at_once_or_none():
    busy = [running(1, ("b1",))]
    assert placed(state([gang(1)], TWO_HOSTS, running=busy)) == {}
    assert placed(state([gang(1, slots=2)], TWO_HOSTS, running=busy)) == {"job_1": ("a0", "b0")}


def test_one_machine_is_one_node():
    twice = [gpus(4, "a"), gpus(4, "a")._replace(name="other")]
    (decision,) = decide(state([gang(1)], twice))
    assert "needs 2 slots on each of 2 workers that reach each other; 2 could" in decision.reason
    assert placed(state([gang(1)], [*twice, gpus(2, "b")])) == {"job_1": ("a0", "a1", "b0", "b1")}


class TestSpanning:
    """A worker that comes before two others has the slots of both."""

    hosts = (gpus(2, "a"), *(Worker(name, (Slot(name),)) for name in ("a0", "a1")))
    job = gang(1, slots=2, hours=2.0)

    def test_the_others_hold_the_job(self):
        assert placed(state([self.job], self.hosts)) == {"job_1": ("a0", "a1")}

    def test_their_slots_are_kept_for_it(self):
        busy = [running(2, ("a0",), ends_at=NOW + HOUR)]
        slow = waiting(3, "bob", seconds=9 * HOUR)
        assert placed(state([self.job, slow], self.hosts, running=busy)) == {}
        assert placed(state([slow], self.hosts, running=busy)) == {"job_3": ("a1",)}

    def test_their_jobs_leave_for_it(self):
        busy = [running(slot, (slot,), priority=LOW) for slot in ("a0", "a1")]
        found = preempt(state([self.job], self.hosts, running=busy))
        assert found == ["run_a0", "run_a1"]


def test_nodes_reach_each_other():
    apart = [gpus(2, "a")._replace(network="here"), gpus(2, "b")]
    assert placed(state([gang(1)], apart)) == {}
    assert placed(state([gang(1)], [*apart, gpus(2, "c")])) == {"job_1": ("b0", "b1", "c0", "c1")}


def test_each_node_has_the_memory_it_needs():
    small = Worker("b", (Slot("b0", 10, 80), Slot("b1", 80, 80)))
    jobs = [gang(1, memory=40)]
    (decision,) = decide(state(jobs, [gpus(2, "a", total=80), small]))
    assert decision.shares == ()
    assert "less is free now" in decision.reason
    shared = [Worker(n, (Slot(f"{n}0", 50, 50), Slot(f"{n}1", 50, 50)), True) for n in "ab"]
    assert placed(state(jobs, shared)) == {}
    assert len(placed(state([gang(1, memory=25)], shared))) == 1


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        (gang(1, slots=6), "needs 3 slots on each of 2 workers that reach each other; 0 could"),
        (gang(1, slots=3, nodes=3), "needs a slot on each of 3 workers that reach each other"),
        (gang(1, memory=2**34), "needs 2 slots with 16.0 GiB on each of 2 workers"),
        (gang(1), "waits for 4 free slots"),
    ],
)
def test_a_job_that_waits_says_why(job, reason):
    workers = [gpus(2, name, total=2.0**33) for name in "ab"]
    (decision,) = decide(state([job], workers, running=[running(1, ("a1",))]))
    assert decision.worker is None
    assert reason in decision.reason


def test_a_limit_counts_the_slots_of_all_nodes():
    (decision,) = decide(state([gang(1)], TWO_HOSTS, rules=Rules(user_slots=3)))
    assert decision.reason == "its user runs on 0 slots, and may on 3"


class TestReservation:
    """A job for two hosts, of which one is taken for two hours; a third is for one."""

    hosts = (*TWO_HOSTS, gpus(2, "c"))
    busy = (running(1, ("a0",), ends_at=NOW + 2 * HOUR), running(2, ("c1",), ends_at=NOW + HOUR))

    def look(self, *others, hours=1.0):
        jobs = [gang(1, hours=hours, seconds=HOUR), *others]
        return state(jobs, self.hosts, running=self.busy)

    def test_slots_are_kept_on_the_hosts_where_it_can_start_soonest(self):
        slow = [waiting(n, "bob", seconds=9 * HOUR) for n in (2, 3)]
        assert placed(self.look(*slow)) == {"job_2": ("a1",)}
        assert len(placed(self.look(*slow, hours=0.0))) == 2

    def test_others_may_use_them_if_they_end_in_time(self):
        quick = [waiting(n, "bob", seconds=HOUR / 2) for n in range(2, 7)]
        assert placed(self.look(*quick)).keys() == {f"job_{n}" for n in range(2, 6)}

    def test_the_forecast_says_when_it_starts(self):
        assert forecast(self.look()) == {"job_1": NOW + HOUR}


class TestPreemption:
    """Jobs of low priority hold three hosts of two slots each."""

    hosts = (*TWO_HOSTS, gpus(2, "c"))

    def low(self, *slots, hours=1.0):
        return running(slots[0], slots, priority=LOW, hours=hours)

    def test_as_few_as_possible_leave_on_as_many_hosts_as_there_are_nodes(self):
        busy = [self.low("a0"), self.low("a1"), self.low("b0", "b1"), self.low("c0", "c1")]
        assert preempt(state([gang(1)], self.hosts, running=busy)) == ["run_b0", "run_c0"]

    def test_one_that_leaves_makes_room_on_all_its_nodes(self):
        busy = [self.low("a0", "b0"), self.low("c0"), self.low("c1")]
        assert preempt(state([gang(1)], self.hosts, running=busy)) == ["run_a0"]

    def test_nobody_leaves_for_no_use(self):
        busy = [self.low("a0"), running(2, ("b0",)), running(3, ("c0",))]
        assert preempt(state([gang(1)], self.hosts, running=busy)) == []


@st.composite
def gangs(draw):
    """Any state with jobs of several nodes, in one network or two."""
    given_state = draw(states())
    jobs = []
    for job in given_state.waiting:
        nodes = draw(st.integers(1, 3))
        jobs.append(job._replace(nodes=nodes, slots=nodes * draw(st.integers(1, 2))))
    nets = draw(st.sampled_from([("", "", ""), ("", "", "other"), ("", "other", "other")]))
    workers = [
        worker._replace(network=network)
        for worker, network in zip(given_state.workers, nets, strict=False)
    ]
    return given_state._replace(waiting=jobs, workers=workers)


@given(gangs())
def test_a_started_job_has_all_its_nodes_and_nobody_elses_slots(given_state):
    by_name = {worker.name: worker for worker in given_state.workers}
    held = [slot for job in given_state.running for slot in job.slots]
    left = {slot.id: slot.free for worker in given_state.workers for slot in worker.slots}
    for decision in place(given_state):
        hosts = [by_name[share.worker] for share in decision.shares]
        assert len({host.name for host in hosts}) == decision.job.nodes
        assert len({host.network for host in hosts}) == 1
        assert all(one.apart_from(other) for one, other in pairwise(hosts))
        for host, share in zip(hosts, decision.shares, strict=True):
            assert set(share.slots) <= set(host.ids)
            assert len(share.slots) == host.needs(decision.job)
            for slot in share.slots:
                for each in host.ids if host.shared else [slot]:
                    left[each] -= decision.job.memory
                assert left[slot] >= 0
        held += decision.slots
    assert len(held) == len(set(held))


@given(gangs(), st.randoms())
def test_decisions_depend_on_nothing_else(given_state, random):
    shuffled = in_another_order(given_state, random)
    decisions = list(decide(given_state))
    assert list(decide(shuffled)) == decisions
    assert list(place(given_state)) == [one for one in decisions if one.worker]
    assert sorted(preempt(shuffled)) == sorted(preempt(given_state))


@given(gangs())
def test_whoever_leaves_makes_a_place(given_state):
    calm = given_state._replace(
        running=[job._replace(leaving=False) for job in given_state.running],
        rules=given_state.rules._replace(patience_seconds=1e9),
    )
    chosen = set(preempt(calm))
    if chosen:
        staying = [job for job in calm.running if job.id not in chosen]
        assert list(place(calm._replace(running=staying, workers=emptied(calm.workers))))


@examples(max_examples=50)
@given(gangs())
def test_everybody_who_fits_and_may_is_started_in_the_end(given_state):
    free = without_limits(given_state)._replace(workers=emptied(given_state.workers))
    fit = {job.id for job in free.waiting if holders(job, free.workers)}
    assert forecast(free).keys() == fit
