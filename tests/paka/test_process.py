import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from paka.process import SILENCE_VARIABLE, StopFlag, die_in_silence, quick_imports

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]])
print(child.pid, flush=True)
time.sleep(60)
"""
CHILD = """
import time
from paka.process import die_with_parent
die_with_parent()
print("ready", flush=True)
time.sleep(60)
"""


ASKED = """
import time
from paka.process import StopFlag
stop = StopFlag().install()
print("ready", flush=True)
while not stop:
    pass
time.sleep(0.5)
print("asked", flush=True)
"""


def test_being_asked_again_and_again_to_stop_is_borne():
    with subprocess.Popen([sys.executable, "-c", ASKED], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        until = time.monotonic() + 0.4
        while time.monotonic() < until:
            process.terminate()
        try:
            assert process.wait(10) == 0
        finally:
            process.kill()


ASKED_BEFORE = """
import os, signal
from paka.process import StopFlag
stop = StopFlag().install()
os.kill(os.getpid(), signal.SIGTERM)
with stop.off():
    print("waits")
"""


def test_whoever_was_asked_to_stop_does_not_begin_to_wait():
    command = [sys.executable, "-u", "-c", ASKED_BEFORE]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGTERM, "", "")


LEAVER = """
import atexit, sys
from paka.process import leave
class Slow:
    def __del__(self):
        print("cleared away")
kept = Slow()
atexit.register(print, "at exit")
sys.stdout.write("words, ")
leave(3)
"""


def test_leaving_writes_all_and_clears_nothing_away():
    done = subprocess.run([sys.executable, "-c", LEAVER], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (3, "words, at exit\n", "")


def test_leaving_is_quiet_when_nobody_reads():
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
    command = [sys.executable, "-c", LEAVER]
    with subprocess.Popen(command, env=buffered, **streams) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 3


def test_imports_within_imports_leave_it_off():
    with quick_imports():
        with quick_imports():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.unfreeze()


def test_imports_leave_no_garbage_collector_off():
    with pytest.raises(ImportError), quick_imports():
        assert not gc.isenabled()
        raise ImportError
    assert gc.isenabled() and gc.get_freeze_count()
    gc.unfreeze()


def test_a_child_leaves_when_its_parent_is_killed():
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE, text=True
    ) as parent:
        pid = int(parent.stdout.readline())
        assert parent.stdout.readline() == "ready\n"
        parent.kill()
        deadline = time.monotonic() + 20
        while alive(pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not alive(pid)


LISTENER = """
import time
from paka.process import die_in_silence
die_in_silence()
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("told", [False, True])
def test_a_process_dies_in_silence(told):
    environment = {**os.environ, SILENCE_VARIABLE: "0.6"}
    with subprocess.Popen(
        [sys.executable, "-c", LISTENER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        bufsize=0,
    ) as child:
        assert child.stdout.readline() == b"ready\n"
        started = time.monotonic()
        for _ in range(8 if told else 0):
            child.stdin.write(b".")
            time.sleep(0.1)
        assert child.wait(20) == -signal.SIGKILL
        assert time.monotonic() - started > (1.2 if told else 0.5)


def test_without_a_supervisor_silence_harms_nobody(monkeypatch):
    monkeypatch.delenv(SILENCE_VARIABLE, raising=False)
    threads = threading.active_count()
    die_in_silence()
    assert threading.active_count() == threads


def alive(pid):
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_stop_flag_is_set_by_sigterm():
    before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        stop = StopFlag().install()
        assert not stop
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
