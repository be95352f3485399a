import threading

import numpy as np
import pytest

from paka.evaluation.cache import collect

IMAGES = 10


class Stop(Exception):
    pass


class Maker:
    """Makes 10 rows in batches of 3; remembers where it was asked to begin."""

    def __init__(self):
        self.starts = []

    def __call__(self, start):
        self.starts.append(start)
        for first in range(start, IMAGES, 3):
            rows = np.arange(first, min(first + 3, IMAGES))
            yield {"small": rows, "large": np.tile(rows[:, None, None], (1, 2, 4)) / 2}


def check(arrays):
    assert arrays["small"].tolist() == list(range(IMAGES))
    assert arrays["large"].shape == (IMAGES, 2, 4)
    assert np.array_equal(arrays["large"][:, 1, 3], np.arange(IMAGES) / 2)


def stop_at(limit):
    def progress(done):
        if done >= limit:
            raise Stop

    return progress


@pytest.mark.parametrize("kept", [False, True])
def test_batches_are_joined(tmp_path, kept):
    seen = []
    make = Maker()
    check(collect(make, IMAGES, tmp_path / "deep" / "kept" if kept else None, seen.append))
    assert seen[:4] == [3, 6, 9, 10]
    assert make.starts == [0]


def test_what_is_kept_is_not_made_again(tmp_path):
    make = Maker()
    collect(make, IMAGES, tmp_path / "kept")
    seen = []
    check(collect(make, IMAGES, tmp_path / "kept", seen.append))
    assert make.starts == [0]
    assert seen == [IMAGES]


def test_what_was_done_before_a_stop_is_not_made_again(tmp_path):
    make = Maker()
    with pytest.raises(Stop):
        collect(make, IMAGES, tmp_path / "kept", stop_at(6))
    assert not (tmp_path / "kept").exists()
    check(collect(make, IMAGES, tmp_path / "kept"))
    assert make.starts == [0, 6]


def test_a_stop_after_the_last_batch(tmp_path):
    make = Maker()
    with pytest.raises(Stop):
        collect(make, IMAGES, tmp_path / "kept", stop_at(10))
    check(collect(make, IMAGES, tmp_path / "kept"))
    assert make.starts == [0]


def test_changes_do_not_reach_what_is_kept(tmp_path):
    for _ in range(2):
        arrays = collect(Maker(), IMAGES, tmp_path / "kept")
        check(arrays)
        arrays["small"][:] = 0
    check(collect(Maker(), IMAGES, tmp_path / "kept"))


def truncate(folder):
    file = folder / "large.npy"
    file.write_bytes(file.read_bytes()[:-8])


@pytest.mark.parametrize(
    "harm",
    [
        truncate,
        lambda folder: (folder / "small.npy").unlink(),
        lambda folder: (folder / "made.json").write_text("{"),
        lambda folder: (folder / "made.json").unlink(),
    ],
)
@pytest.mark.parametrize("complete", [False, True])
def test_what_is_damaged_is_made_anew(tmp_path, harm, complete):
    make = Maker()
    if complete:
        collect(make, IMAGES, tmp_path / "kept")
        harm(tmp_path / "kept")
    else:
        with pytest.raises(Stop):
            collect(make, IMAGES, tmp_path / "kept", stop_at(6))
        harm(tmp_path / "kept.partial")
    check(collect(make, IMAGES, tmp_path / "kept"))
    assert make.starts == [0, 0]


def test_rows_that_a_killed_process_did_not_write_down_are_made_again(tmp_path):
    with pytest.raises(Stop):
        collect(Maker(), IMAGES, tmp_path / "kept", stop_at(3))
    made = (tmp_path / "kept.partial/made.json").read_text()
    with pytest.raises(Stop):
        collect(Maker(), IMAGES, tmp_path / "kept", stop_at(9))
    (tmp_path / "kept.partial/made.json").write_text(made)
    make = Maker()
    check(collect(make, IMAGES, tmp_path / "kept"))
    assert make.starts == [3]


def test_two_at_once_make_it_once(tmp_path):
    make, waiting = Maker(), threading.Event()
    others = []

    def second():
        others.append(collect(make, IMAGES, tmp_path / "kept", lambda done: waiting.set()))

    thread = threading.Thread(target=second)

    def first(done):
        if not thread.is_alive():
            thread.start()
        assert waiting.wait(10)

    check(collect(make, IMAGES, tmp_path / "kept", first))
    thread.join(10)
    check(others[0])
    assert make.starts == [0]
