import threading

import pytest

from paka.shards.writer import Writer


def test_writing_goes_on_beside_what_follows_and_is_done_at_the_end():
    go_on, written = threading.Event(), []

    def write():
        assert go_on.wait(20)
        written.append(1)

    with Writer() as writer:
        writer.start(write)
        assert written == []
        go_on.set()
    assert written == [1]


def fail():
    raise OSError("disk full")


def test_an_error_is_raised_at_the_end():
    with pytest.raises(OSError, match="disk full"), Writer() as writer:
        writer.start(fail)


def test_an_error_is_raised_before_the_next_is_written():
    written = []
    with pytest.raises(OSError, match="disk full"), Writer() as writer:
        writer.start(fail)
        writer.start(lambda: written.append(1))
    assert written == []


def test_an_error_of_the_block_comes_first():
    with pytest.raises(ZeroDivisionError), Writer() as writer:
        writer.start(fail)
        raise ZeroDivisionError
