"""Several requests at once."""

import signal
import subprocess
import sys
import threading
import time

import pytest

from service.client.inflight import in_threads

EMBED_UNTIL_CTRL_C = """
import socket
import numpy as np
from service.client import PakaClient

with socket.create_server(("127.0.0.1", 0)) as silent:
    with PakaClient(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=60) as client:
        print("embedding", flush=True)
        client.embed([np.zeros((8, 8, 3), np.uint8)] * 4, batch=1)
"""


def test_results_come_in_order_and_not_too_many_are_in_work():
    lock, working, most = threading.Lock(), 0, 0

    def work(item):
        nonlocal working, most
        with lock:
            working += 1
            most = max(most, working)
        time.sleep(0.02 if item % 2 else 0.001)
        with lock:
            working -= 1
        return -item

    assert list(in_threads(work, range(9), 3)) == [-item for item in range(9)]
    assert 1 < most <= 3


def test_a_failure_is_raised_at_once_and_no_more_is_begun():
    begun, release = [], threading.Event()

    def work(item):
        begun.append(item)
        if item == 0:
            raise ValueError("no image")
        release.wait(30)

    with pytest.raises(ValueError, match="no image"):
        list(in_threads(work, range(9), 2))
    assert len(begun) <= 2
    release.set()


def test_ctrl_c_waits_for_no_answer():
    command = [sys.executable, "-c", EMBED_UNTIL_CTRL_C]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout.readline() == "embedding\n"
            time.sleep(0.5)  # until the requests are on their way
            process.send_signal(signal.SIGINT)
            _, shown = process.communicate(timeout=20)
        finally:
            process.kill()
    assert shown.rstrip().endswith("KeyboardInterrupt")
