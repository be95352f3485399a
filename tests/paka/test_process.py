import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from paka.process import StopFlag

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
