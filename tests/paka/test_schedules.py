import pytest

from paka.schedules import cosine, cosine_with_warmup


def test_cosine_goes_from_start_through_the_middle_to_end():
    assert cosine(2.0, 1.0, 0, 101) == 2.0
    assert cosine(2.0, 1.0, 50, 101) == pytest.approx(1.5)
    assert cosine(2.0, 1.0, 100, 101) == 1.0


def test_cosine_stays_at_its_end_and_takes_a_single_step():
    assert cosine(1.0, 0.0, 500, 101) == 0.0
    assert cosine(1.0, 0.0, 0, 1) == 1.0


def test_cosine_is_monotone():
    values = [cosine(0.9995, 1.0, step, 50) for step in range(50)]
    assert values == sorted(values)


def test_warmup_rises_linearly_and_meets_the_peak():
    values = [cosine_with_warmup(1.0, step, 20, 4) for step in range(20)]
    assert values[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert values[4:] == sorted(values[4:], reverse=True)
    assert values[-1] == 0.0


def test_without_warmup_it_is_the_cosine():
    assert cosine_with_warmup(1.0, 7, 20, 0) == cosine(1.0, 0.0, 7, 20)
