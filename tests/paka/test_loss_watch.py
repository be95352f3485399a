"""A loss that ends a run, and those that do not."""

import pytest

from paka.loss_watch import LossWatch


def problems(watch, losses, start=0, steps=10):
    """What it says of one interval after another."""
    return [
        watch.problem(loss, start + steps * number, steps)
        for number, loss in enumerate(losses, start=1)
    ]


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_a_problem_at_once(loss):
    assert (
        f"the loss is {loss} within the steps up to 10" in problems(LossWatch(None, 10), [loss])[0]
    )


def test_three_intervals_in_a_row_above_the_first_diverge():
    found = problems(LossWatch(3.0, 10), [0.2, 0.7, 0.7, 0.5, 0.7, 0.7, 0.8])
    assert found[:6] == [None] * 6
    assert "diverges: 0.8 at step 70" in found[6]
    assert "3 (runtime.divergence) times the 0.2 of the first 10 steps" in found[6]


@pytest.mark.parametrize(("log_every", "first"), [(1, 10), (20, 20)])
def test_the_first_steps_are_those_of_an_interval_and_at_least_ten(log_every, first):
    watch = LossWatch(3.0, log_every)
    losses = [0.1] * (first // 2) + [0.5] * (first // 2)
    assert problems(watch, losses, steps=1) == [None] * first
    assert problems(watch, [0.8] * 3, start=first) == [None] * 3
    found = problems(watch, [0.95] * 3, start=first + 30)[2]
    assert f"times the 0.3 of the first {first} steps" in found


def test_nothing_diverges_where_no_factor_is_set():
    assert problems(LossWatch(None, 10), [0.1, 9, 9, 9, 9]) == [None] * 5


def test_the_last_sound_step_is_the_last_that_was_not_too_large():
    watch = LossWatch(2.0, 10)
    problems(watch, [0.1, 0.1, 9, 9, 9])
    assert watch.sound_step == 20


def test_a_resumed_run_judges_as_if_it_had_not_been_interrupted():
    losses = [0.2, 0.7, 0.7, 0.7]
    for cut in range(4):
        first, second = LossWatch(3.0, 10), LossWatch(3.0, 10)
        problems(first, losses[:cut])
        second.load_state(first.state())
        found = problems(second, losses[cut:], start=10 * cut)
        assert "at step 40" in found[-1]
        assert not any(found[:-1])
