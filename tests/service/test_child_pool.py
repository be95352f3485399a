import os
import subprocess
import sys
import time
from concurrent.futures import CancelledError
from pathlib import Path

import psutil
import pytest

from paka.data.decode import decode
from paka.data.preprocess import prepare
from paka.errors import DataError
from service.child_pool import ChildPool
from service.child_process import check_images, prepare_image
from service.errors import ApiError


def make(**settings):
    return ChildPool(**{"processes": 1, "memory_bytes": 2**32, "seconds": 20, **settings})


@pytest.fixture
def pool():
    pool = make()
    yield pool
    pool.close()


@pytest.fixture
def photo(photos):
    return (photos / "coffee.jpg").read_bytes()


def test_an_image_is_prepared_as_it_would_be_here(pool, photo):
    arguments = (photo, "coffee.jpg", 32, 48, "crop")
    made = pool.submit("coffee.jpg", prepare_image, *arguments).result()
    here = prepare(decode(photo), 32, 48, "crop")
    assert (made.pixels == here.pixels).all()
    assert (made.box, made.original_size) == (here.box, here.original_size)


def test_what_is_no_image_is_an_error_that_names_it(pool):
    with pytest.raises(DataError, match=r"^notes\.txt is not an image"):
        pool.submit("notes.txt", prepare_image, b"hello", "notes.txt", 8, 8, "crop").result()


@pytest.mark.parametrize(
    ("function", "arguments", "how"),
    [
        (os.abort, (), "was ended by SIGABRT"),
        (os._exit, (3,), "ended with exit code 3"),
        (bytearray, (2**40,), "ended with exit code 1"),  # MemoryError
    ],
)
def test_a_death_costs_only_the_image_that_caused_it(pool, photo, function, arguments, how):
    futures = [
        pool.submit("a.jpg", prepare_image, photo, "a.jpg", 8, 8, "crop"),
        pool.submit("evil.jpg", function, *arguments),
        pool.submit("b.jpg", prepare_image, photo, "b.jpg", 8, 8, "crop"),
    ]
    assert futures[0].result().pixels.shape == (8, 8, 3)
    with pytest.raises(DataError, match=rf"^evil\.jpg .*process that tried to {how}"):
        futures[1].result()
    assert futures[2].result().pixels.shape == (8, 8, 3)


def test_a_child_that_dies_while_it_waits_is_replaced(pool, photo):
    pid = pool.submit("x", os.getpid).result()
    psutil.Process(pid).kill()
    until = time.monotonic() + 10
    while psutil.pid_exists(pid) and time.monotonic() < until:
        time.sleep(0.005)
    assert pool.submit("x", os.getpid).result() != pid


def test_decoding_that_takes_too_long_is_ended():
    pool = make(seconds=0.2)
    try:
        pid = pool.submit("x", os.getpid).result()
        with pytest.raises(DataError, match=r"^slow\.tif took longer than 0.2 s to read"):
            pool.submit("slow.tif", time.sleep, 60).result()
        assert not psutil.pid_exists(pid)
    finally:
        pool.close()


def test_a_child_may_use_only_so_much_memory_and_leaves_no_core(pool):
    import resource

    limits = pool.submit("x", resource.getrlimit, resource.RLIMIT_AS).result()
    assert 2**32 < limits[0] < 2**38
    assert pool.submit("x", resource.getrlimit, resource.RLIMIT_CORE).result() == (0, 0)
    seconds = pool.submit("x", resource.getrlimit, resource.RLIMIT_CPU).result()[0]
    assert 20 <= seconds <= 30


def test_when_too_much_waits_more_is_refused():
    pool = make(queue_limit=2)
    try:
        pool.check_capacity()
        waiting = [pool.submit("x", time.sleep, 60) for _ in range(2)]
        with pytest.raises(ApiError) as caught:
            pool.check_capacity()
        assert (caught.value.problem.status, caught.value.problem.code) == (429, "decoders_busy")
        assert waiting[1].cancel()
        pool.check_capacity()
    finally:
        pool.close()


def test_closing_ends_all_children_at_once():
    pool = make(processes=2)
    pids = {pool.submit("x", os.getpid).result()}
    waiting = [pool.submit("x", time.sleep, 60) for _ in range(3)]
    started = time.monotonic()
    pool.close()
    assert time.monotonic() - started < 10
    for future in waiting:
        with pytest.raises((DataError, CancelledError)):
            future.result()
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_children_end_with_the_api_even_if_it_is_killed():
    code = (
        "import os\n"
        "from service.child_pool import ChildPool\n"
        "print(ChildPool(1, 2**32, 20).submit('x', os.getpid).result(), flush=True)\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    pid, until = int(done.stdout), time.monotonic() + 10
    while psutil.pid_exists(pid) and time.monotonic() < until:
        time.sleep(0.02)
    assert not psutil.pid_exists(pid)


def test_a_child_loads_neither_the_api_nor_torch():
    code = "import sys, service.child_process; print({'fastapi', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_files_are_checked_by_their_headers(pool, photos, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_text("hello")
    paths = [photos / "coffee.jpg", bad, Path("/nothing/here.jpg")]
    good, no_image, missing = pool.submit("all", check_images, paths, 10**6).result()
    assert good is None
    assert no_image == "bad.png is not an image that can be read"
    assert "here.jpg" in missing
