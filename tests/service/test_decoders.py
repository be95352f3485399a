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
from service.decode_process import check_images, prepare_image
from service.decoders import Decoders
from service.errors import ApiError
from service.store.settings import Settings


def make(**settings):
    return Decoders(Settings(**{"decode_processes": 1, **settings}))


@pytest.fixture
def decoders():
    decoders = make(decode_seconds=20)
    yield decoders
    decoders.close()


@pytest.fixture
def photo(photos):
    return (photos / "coffee.jpg").read_bytes()


def test_an_image_is_prepared_as_it_would_be_here(decoders, photo):
    arguments = (photo, "coffee.jpg", 32, 48, "crop")
    made = decoders.submit("coffee.jpg", prepare_image, *arguments).result()
    here = prepare(decode(photo), 32, 48, "crop")
    assert (made.pixels == here.pixels).all()
    assert (made.box, made.original_size) == (here.box, here.original_size)


def test_what_is_no_image_is_an_error_that_names_it(decoders):
    with pytest.raises(DataError, match=r"^notes\.txt is not an image"):
        decoders.submit("notes.txt", prepare_image, b"hello", "notes.txt", 8, 8, "crop").result()


@pytest.mark.parametrize(
    ("function", "arguments", "how"),
    [
        (os.abort, (), "was ended by SIGABRT"),
        (os._exit, (3,), "ended with exit code 3"),
        (bytearray, (2**40,), "ended with exit code 1"),  # MemoryError
    ],
)
def test_a_death_costs_only_the_image_that_caused_it(decoders, photo, function, arguments, how):
    futures = [
        decoders.submit("a.jpg", prepare_image, photo, "a.jpg", 8, 8, "crop"),
        decoders.submit("evil.jpg", function, *arguments),
        decoders.submit("b.jpg", prepare_image, photo, "b.jpg", 8, 8, "crop"),
    ]
    assert futures[0].result().pixels.shape == (8, 8, 3)
    with pytest.raises(DataError, match=rf"^evil\.jpg .*process that tried to {how}"):
        futures[1].result()
    assert futures[2].result().pixels.shape == (8, 8, 3)


def test_a_child_that_dies_while_it_waits_is_replaced(decoders, photo):
    pid = decoders.submit("x", os.getpid).result()
    psutil.Process(pid).kill()
    until = time.monotonic() + 10
    while psutil.pid_exists(pid) and time.monotonic() < until:
        time.sleep(0.005)
    assert decoders.submit("x", os.getpid).result() != pid


def test_decoding_that_takes_too_long_is_ended():
    decoders = make(decode_seconds=0.2)
    try:
        pid = decoders.submit("x", os.getpid).result()
        with pytest.raises(DataError, match=r"^slow\.tif took longer than 0.2 s to decode"):
            decoders.submit("slow.tif", time.sleep, 60).result()
        assert not psutil.pid_exists(pid)
    finally:
        decoders.close()


def test_a_child_may_use_only_so_much_memory_and_leaves_no_core(decoders):
    import resource

    limits = decoders.submit("x", resource.getrlimit, resource.RLIMIT_AS).result()
    assert limits[0] == Settings().decode_memory_bytes
    assert decoders.submit("x", resource.getrlimit, resource.RLIMIT_CORE).result() == (0, 0)
    seconds = decoders.submit("x", resource.getrlimit, resource.RLIMIT_CPU).result()[0]
    assert 20 <= seconds <= 30


def test_when_too_much_waits_more_is_refused():
    decoders = make(decode_queue_limit=2)
    try:
        decoders.check_capacity()
        waiting = [decoders.submit("x", time.sleep, 60) for _ in range(2)]
        with pytest.raises(ApiError) as caught:
            decoders.check_capacity()
        assert (caught.value.problem.status, caught.value.problem.code) == (429, "decoders_busy")
        assert waiting[1].cancel()
        decoders.check_capacity()
    finally:
        decoders.close()


def test_closing_ends_all_children_at_once():
    decoders = make(decode_processes=2)
    pids = {decoders.submit("x", os.getpid).result()}
    waiting = [decoders.submit("x", time.sleep, 60) for _ in range(3)]
    started = time.monotonic()
    decoders.close()
    assert time.monotonic() - started < 10
    for future in waiting:
        with pytest.raises((DataError, CancelledError)):
            future.result()
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_children_end_with_the_api_even_if_it_is_killed():
    code = (
        "import os\n"
        "from service.decoders import Decoders\n"
        "from service.store.settings import Settings\n"
        "decoders = Decoders(Settings(decode_processes=1))\n"
        "print(decoders.submit('x', os.getpid).result(), flush=True)\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    pid, until = int(done.stdout), time.monotonic() + 10
    while psutil.pid_exists(pid) and time.monotonic() < until:
        time.sleep(0.02)
    assert not psutil.pid_exists(pid)


def test_a_child_loads_neither_the_api_nor_torch():
    code = "import sys, service.decode_process; print({'fastapi', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_files_are_checked_by_their_headers(decoders, photos, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_text("hello")
    paths = [photos / "coffee.jpg", bad, Path("/nothing/here.jpg")]
    good, no_image, missing = decoders.submit("all", check_images, paths).result()
    assert good is None
    assert no_image == "bad.png is not an image that can be read"
    assert "here.jpg" in missing
