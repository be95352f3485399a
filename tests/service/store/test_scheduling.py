"""The policy: its rules one by one, then what must hold of any decision."""

from math import inf
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from service.store import preemption
from service.store.forecast import forecast
from service.store.places import Running, Slot, Waiting, Worker
from service.store.preemption import preempt
from service.store.scheduling import Rules, Start, State, Usage, decide, place, rank, start, used

HOUR = 3600.0
NOW = 1_000_000.0
LOW, NORMAL, HIGH = 0, 1, 2


def gpus(count, name="w", free=None, total=inf):
    free = total if free is None else free
    return Worker(name, tuple(Slot(f"{name}{i}", free, total) for i in range(count)))


def waiting(number, user="ada", priority=NORMAL, slots=1, hours=0.0, **values):
    return Waiting(f"job_{number}", user, priority, slots, NOW - hours * HOUR, **values)


def running(number, slots, user="bob", priority=NORMAL, hours=1.0, **values):
    begun = NOW - hours * HOUR
    return Running(f"run_{number}", user, priority, slots, begun, begun, **values)


def state(jobs=(), workers=None, running=(), **values):
    return State(NOW, jobs, running, [gpus(4)] if workers is None else workers, **values)


def ids(jobs):
    return [job.id for job in jobs]


def placed(given_state):
    return {d.job.id: d.slots for d in place(given_state)}


def in_another_order(given_state, random):
    """The same state from a database that returns its rows in another order."""
    jobs, busy = list(given_state.waiting), list(given_state.running)
    random.shuffle(jobs)
    random.shuffle(busy)
    return given_state._replace(waiting=jobs, running=busy)


def emptied(workers):
    """The same workers with nothing in their memory."""
    return [
        worker._replace(slots=tuple(slot._replace(free=slot.total) for slot in worker.slots))
        for worker in workers
    ]


def without_limits(given_state):
    """The same state where users may have as much as there is."""
    return given_state._replace(
        rules=given_state.rules._replace(user_week_seconds=None, user_slots=None)
    )


def test_who_has_used_least_lately_goes_first():
    jobs = [waiting(1, "ada"), waiting(2, "bob"), waiting(3, "eve")]
    usage = {"ada": Usage(9e5), "bob": Usage(1e5)}
    assert ids(rank(state(jobs, usage=usage))) == ["job_3", "job_2", "job_1"]


def test_users_who_come_together_take_turns():
    jobs = [*(waiting(n, "ada") for n in (1, 2, 3)), *(waiting(n, "bob") for n in (4, 5, 6))]
    turns = ["job_1", "job_4", "job_2", "job_5", "job_3", "job_6"]
    assert ids(rank(state(jobs))) == turns


def test_priority_comes_before_share():
    jobs = [waiting(1, "ada", HIGH), waiting(2, "bob"), waiting(3, "eve", LOW)]
    assert ids(rank(state(jobs, usage={"ada": Usage(9e9)}))) == ["job_1", "job_2", "job_3"]


def test_waiting_raises_the_class_every_day():
    jobs = [waiting(1, "ada", LOW, hours=25), waiting(2, "bob", NORMAL), waiting(3, "eve", HIGH)]
    assert ids(rank(state(jobs, usage={"bob": Usage(1)}))) == ["job_3", "job_1", "job_2"]


def test_the_rest_of_a_sweep_does_not_grow_old_while_it_goes_on():
    jobs = [waiting(1, "ada", hours=30), waiting(2, "bob")]
    usage = {"ada": Usage(9e5)}
    lately = {"ada": [Start(NORMAL, 1, NOW - HOUR)]}
    assert ids(rank(state(jobs, usage=usage))) == ["job_1", "job_2"]
    assert ids(rank(state(jobs, usage=usage, starts=lately))) == ["job_2", "job_1"]
    # A smaller or more important job of hers is no turn of this one.
    for other in (Start(HIGH, 1, NOW - HOUR), Start(NORMAL, 0, NOW - HOUR)):
        found = rank(state(jobs, usage=usage, starts={"ada": [other]}))
        assert ids(found) == ["job_1", "job_2"]


def test_usage_counts_half_after_a_half_life():
    day = 24 * HOUR
    fresh = used(2, NOW - 60, NOW, NOW, day)
    assert fresh == pytest.approx(120, rel=1e-3)
    assert used(2, NOW - day - 60, NOW - day, NOW, day) == pytest.approx(fresh / 2)


def test_slots_with_the_least_sufficient_memory_are_taken():
    slots = tuple(Slot(name, free, 80) for name, free in (("a", 80), ("b", 10), ("c", 40)))
    jobs = [waiting(1, memory=30), waiting(2, memory=5), waiting(3, memory=60)]
    found = placed(state(jobs, [Worker("w", slots)]))
    assert found == {"job_1": ("c",), "job_2": ("b",), "job_3": ("a",)}


def test_cpu_slots_share_one_memory():
    shared = Worker("w", tuple(Slot(f"cpu{i}", 10, 10) for i in range(4)), shared=True)
    jobs = [waiting(n, memory=4) for n in (1, 2, 3)]
    assert len(placed(state(jobs, [shared]))) == 2
    holder = running(1, ("cpu0",), memory=8)  # it may not have taken all of it yet
    assert placed(state(jobs, [shared], running=[holder])) == {}


def test_processes_share_cpu_slots_but_not_gpus():
    two = Worker("w", (Slot("cpu0"), Slot("cpu1")), shared=True)
    assert placed(state([waiting(1, slots=8)], [two])) == {"job_1": ("cpu0", "cpu1")}
    assert placed(state([waiting(1, slots=8)])) == {}


@pytest.mark.parametrize(
    ("job", "workers", "reason"),
    [
        (waiting(1), [], "no worker is running"),
        (waiting(1, slots=5), [gpus(4)], "needs 5 slots, and the largest worker has 4"),
        (waiting(1, memory=2**34), [gpus(4, total=2**33)], "the largest slot has 8.0 GiB"),
        (waiting(1, memory=2**33), [gpus(1, free=2**30)], "8.0 GiB on each slot, and less is free"),
        (waiting(1, slots=3), [gpus(2), gpus(3, "v")], "waits for 3 free slots"),
    ],
)
def test_a_job_that_waits_says_why(job, workers, reason):
    busy = [running(1, ("v0",))]
    (decision,) = decide(state([job], workers, running=busy))
    assert decision.worker is None
    assert reason in decision.reason


def test_limits_hold_a_user_back_and_nobody_else():
    rules = Rules(user_slots=2, user_week_seconds=10 * HOUR)
    jobs = [waiting(1, "ada"), waiting(2, "bob"), waiting(3, "eve", slots=3)]
    busy = [running(1, ("w0", "w1"), "ada")]
    usage = {"bob": Usage(0, 11 * HOUR)}
    reasons = {
        d.job.user: d.reason
        for d in decide(state(jobs, [gpus(8)], running=busy, usage=usage, rules=rules))
    }
    assert reasons["ada"] == "its user runs on 2 slots, and may on 2"
    assert "11.0 slot-hours in seven days, and may 10" in reasons["bob"]
    assert reasons["eve"] == "its user runs on 0 slots, and may on 2"


class TestReservation:
    """A job for four GPUs, one of which is taken for two hours."""

    busy = (running(1, ("w0",), ends_at=NOW + 2 * HOUR),)

    def test_small_jobs_pass_a_large_one_at_first(self):
        jobs = [waiting(1, slots=4), waiting(2, "bob", seconds=9 * HOUR)]
        assert placed(state(jobs, running=self.busy)) == {"job_2": ("w1",)}

    def test_slots_are_kept_for_it_once_it_has_waited(self):
        jobs = [waiting(1, slots=4, hours=1), waiting(2, "bob", seconds=9 * HOUR)]
        first, second = decide(state(jobs, running=self.busy))
        assert "are kept for it" in first.reason
        assert "kept for a job that waits for more" in second.reason

    def test_others_may_use_them_if_they_end_in_time(self):
        quick, slow, unknown = (
            waiting(number, "bob", seconds=seconds)
            for number, seconds in ((2, HOUR), (3, 3 * HOUR), (4, None))
        )
        jobs = [waiting(1, slots=4, hours=1), quick, slow, unknown]
        assert placed(state(jobs, running=self.busy)).keys() == {"job_2"}

    def test_they_are_kept_where_it_can_start_soonest(self):
        workers = [gpus(4), gpus(4, "v")]
        busy = [*self.busy, running(2, ("v0",), ends_at=NOW + HOUR)]
        jobs = [waiting(1, slots=4, hours=1), waiting(2, "bob", seconds=9 * HOUR)]
        assert placed(state(jobs, workers, running=busy)) == {"job_2": ("w1",)}

    def test_the_forecast_says_when_it_starts(self):
        jobs = [waiting(1, slots=4, hours=1, seconds=HOUR), waiting(2, "bob")]
        found = forecast(state(jobs, running=self.busy))
        assert found == {"job_1": NOW + 2 * HOUR, "job_2": NOW + 3 * HOUR}


class TestPreemption:
    """All four slots are taken by jobs of low priority, the last one only lately."""

    def low(self, hours=1.0, **values):
        return [
            running(n, (f"w{n}",), priority=LOW, hours=hours + (3 - n) / 10, **values)
            for n in range(4)
        ]

    def test_who_has_run_for_the_shortest_time_leaves_first(self):
        jobs = [waiting(1, slots=2)]
        assert preempt(state(jobs, running=self.low())) == ["run_3", "run_2"]

    @pytest.mark.parametrize("job", [waiting(1, priority=LOW), waiting(1, slots=5)])
    def test_nobody_leaves_for_no_use(self, job):
        assert preempt(state([job], running=self.low())) == []

    def test_nobody_leaves_in_the_first_minutes(self):
        assert preempt(state([waiting(1)], running=self.low(hours=0.0))) == ["run_2"]

    def test_nobody_leaves_for_whoever_is_over_a_limit(self):
        rules = Rules(user_slots=1)
        assert preempt(state([waiting(1, slots=2)], running=self.low(), rules=rules)) == []

    def test_who_has_waited_for_a_day_stays(self):
        old = [one._replace(queued_at=NOW - 30 * HOUR) for one in self.low()]
        assert preempt(state([waiting(1)], running=old)) == []
        assert preempt(state([waiting(1, priority=HIGH)], running=old)) == ["run_3"]

    def test_nobody_else_is_asked_while_enough_are_leaving(self):
        low = self.low()
        low[1] = low[1]._replace(leaving=True)
        assert preempt(state([waiting(1)], running=low)) == []
        assert preempt(state([waiting(1, slots=2)], running=low)) == ["run_3"]

    def test_as_many_leave_as_hold_the_memory_that_slots_share(self):
        shared = Worker("w", tuple(Slot(f"w{i}", 0, 80) for i in range(4)), shared=True)
        low = self.low(memory=10)[1:]  # w0 is free
        wants = [waiting(1, memory=50), waiting(2, memory=60), waiting(3, memory=70)]
        left = [preempt(state([job], [shared], running=low)) for job in wants]
        assert left == [[], ["run_3"], ["run_3", "run_2"]]
        high = [low[0]._replace(priority=NORMAL), *low[1:]]  # stays, and nobody leaves in vain
        assert preempt(state([waiting(1, memory=80)], [shared], running=high)) == []

    @pytest.mark.parametrize(("hours", "looks"), [(1.0, 4), (0.0, 3), (-1.0, 0)])
    def test_however_many_wait_it_ends_when_there_is_nobody_more_to_ask(
        self, hours, looks, monkeypatch
    ):
        look = Mock(side_effect=preemption._make_room)
        monkeypatch.setattr(preemption, "_make_room", look)
        jobs = [waiting(number) for number in range(100)]
        assert len(preempt(state(jobs, running=self.low(hours)))) == looks
        assert look.call_count == looks

    def test_a_place_that_is_being_made_is_kept(self):
        low = self.low()[1:]
        low[0] = low[0]._replace(leaving=True)
        jobs = [waiting(1, slots=2), waiting(2, "eve", LOW)]
        assert placed(state(jobs, running=low)) == {}


USERS = ("ada", "bob", "eve")
sizes = st.integers(1, 4)
memories = st.sampled_from([0, 10, 40, 80])
seconds = st.none() | st.floats(60, 20 * HOUR)


@st.composite
def states(draw):
    """Any state in which no slot is held twice."""
    workers = []
    for name in draw(st.sampled_from(["a", "ab", "abc"])):
        shared = draw(st.booleans())
        free = [draw(st.sampled_from([0, 20, 80])) for _ in range(draw(sizes))]
        free = [free[0]] * len(free) if shared else free
        slots = tuple(Slot(f"{name}{i}", each, 80) for i, each in enumerate(free))
        workers.append(Worker(name, slots, shared))
    busy = []
    for number, worker in enumerate(workers):
        for slot in worker.slots:
            if draw(st.booleans()):
                ends = draw(st.none() | st.floats(NOW - HOUR, NOW + 20 * HOUR))
                begun = NOW - draw(st.floats(0, 50 * HOUR))
                about = (draw(st.sampled_from(USERS)), draw(st.integers(0, 2)), (slot.id,))
                hold = Running(f"run_{number}{slot.id}", *about, begun, begun, 10, ends)
                busy.append(hold._replace(leaving=draw(st.booleans())))
    jobs = [
        Waiting(
            f"job_{number:02}",
            draw(st.sampled_from(USERS)),
            draw(st.integers(0, 2)),
            draw(sizes),
            NOW - draw(st.floats(0, 100 * HOUR)),
            draw(memories),
            draw(seconds),
        )
        for number in range(draw(st.integers(0, 8)))
    ]
    usage = {user: Usage(draw(st.floats(0, 1e6)), draw(st.floats(0, 1e6))) for user in USERS}
    rules = Rules(
        user_slots=draw(st.none() | st.integers(1, 6)),
        user_week_seconds=draw(st.none() | st.just(5e5)),
        patience_seconds=draw(st.sampled_from([0, 600, 1e9])),
    )
    return State(NOW, jobs, busy, workers, usage, {}, rules)


@given(states())
def test_slots_and_memory_are_never_given_twice(given_state):
    held = [slot for job in given_state.running for slot in job.slots]
    left = {slot.id: slot.free for worker in given_state.workers for slot in worker.slots}
    by_name = {worker.name: worker for worker in given_state.workers}
    for decision in place(given_state):
        worker = by_name[decision.worker]
        assert set(decision.slots) <= set(worker.ids)
        assert len(decision.slots) == worker.needs(decision.job)
        held += decision.slots
        for slot in decision.slots:
            for each in worker.ids if worker.shared else [slot]:
                left[each] -= decision.job.memory
            assert left[slot] >= 0
    assert len(held) == len(set(held))


@given(states())
def test_no_limit_is_exceeded(given_state):
    rules, taken = given_state.rules, dict.fromkeys(USERS, 0)
    for job in given_state.running:
        taken[job.user] += len(job.slots)
    for decision in place(given_state):
        user = decision.job.user
        taken[user] += len(decision.slots)
        assert rules.user_slots is None or taken[user] <= rules.user_slots
        assert (
            rules.user_week_seconds is None
            or given_state.usage[user].week < rules.user_week_seconds
        )


@given(states(), st.randoms())
def test_the_order_of_rows_changes_nothing(given_state, random):
    shuffled = in_another_order(given_state, random)
    assert list(decide(shuffled)) == list(decide(given_state))
    assert sorted(preempt(shuffled)) == sorted(preempt(given_state))


@given(states())
def test_no_slot_stays_free_that_a_job_could_use_unless_it_is_kept(given_state):
    calm = given_state._replace(
        rules=given_state.rules._replace(patience_seconds=inf),
        running=[job._replace(leaving=False) for job in given_state.running],
    )
    decisions = list(decide(calm))
    begun = [start(d.job, d.slots, NOW) for d in decisions if d.worker]
    for decision in decisions:
        if decision.worker is None:
            after = calm._replace(waiting=[decision.job], running=[*calm.running, *begun])
            assert decision.worker is None
            gpu_only = [worker for worker in after.workers if not worker.shared]
            assert not list(place(after._replace(workers=gpu_only)))


@given(states())
def test_both_ways_to_decide_agree(given_state):
    assert list(place(given_state)) == [d for d in decide(given_state) if d.worker]


@given(states())
def test_only_settled_jobs_of_low_priority_leave_and_only_for_others_that_fit(given_state):
    chosen = preempt(given_state)
    by_id = {job.id: job for job in given_state.running}
    assert len(chosen) == len(set(chosen))
    for job_id in chosen:
        job = by_id[job_id]
        assert job.priority == LOW and not job.leaving
        assert NOW - job.started_at >= given_state.rules.preempt_after_seconds


@examples(max_examples=50)
@given(states())
def test_everybody_who_fits_and_may_is_started_in_the_end(given_state):
    free = without_limits(given_state)._replace(workers=emptied(given_state.workers))
    fit = {job.id for job in free.waiting if any(w.could_hold(job) for w in free.workers)}
    assert forecast(free).keys() == fit
