"""A loss that ends a run, and those that do not."""

import pytest

from paka.loss_watch import LossWatch


def problems(watch, losses, start=0, steps=2):
    """What it says of intervals of two steps each."""
    return [
        watch.problem(loss, start + steps * number, steps)
        for number, loss in enumerate(losses, start=1)
    ]


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_a_problem_at_once(loss):
    assert f"the loss is {loss} within the steps up to 2" in problems(LossWatch(None, 2), [loss])[0]


def test_three_intervals_in_a_row_above_the_first_diverge():
    found = problems(LossWatch(3.0, 2), [0.2, 0.7, 0.7, 0.5, 0.7, 0.7, 0.8])
    assert found[:6] == [None] * 6
    assert "diverges: 0.8 at step 14" in found[6]
    assert "3 (runtime.divergence) times the 0.2 of the first 2 steps" in found[6]


def test_the_first_steps_are_as_many_as_it_is_told():
    watch = LossWatch(3.0, 6)
    assert problems(watch, [0.1, 0.1, 0.7, 0.8, 0.8, 0.8]) == [None] * 6
    assert "times the 0.3 of the first 6 steps" in problems(watch, [1, 1, 1], start=12)[2]


def test_nothing_diverges_where_no_factor_is_set():
    assert problems(LossWatch(None, 2), [0.1, 9, 9, 9, 9]) == [None] * 5


def test_the_last_sound_step_is_the_last_that_was_not_too_large():
    watch = LossWatch(2.0, 2)
    problems(watch, [0.1, 0.1, 9, 9, 9])
    assert watch.sound_step == 4


def test_a_resumed_run_judges_as_if_it_had_not_been_interrupted():
    losses = [0.2, 0.7, 0.7, 0.7]
    for cut in range(4):
        first, second = LossWatch(3.0, 2), LossWatch(3.0, 2)
        problems(first, losses[:cut])
        second.load_state(first.state())
        found = problems(second, losses[cut:], start=2 * cut)
        assert "at step 8" in found[-1]
        assert not any(found[:-1])
