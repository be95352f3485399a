"""Each process group runs in a process of its own, because signals need a main thread."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager

import psutil

POLITE = """
import signal, sys, time
def leave(*_):
    time.sleep(0.3)
    print("left", flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, leave)
print("started", flush=True)
time.sleep(600)
"""
PRELUDE = f"""
import os, sys
from service.processes import ChildDiedError, ProcessGroup, StopAskedError

POLITE = {POLITE!r}
STUBBORN = POLITE.replace("leave)", "signal.SIG_IGN)")

def start(name, code, stage=0):
    group.start(name, [sys.executable, "-c", code], os.environ, stage)
"""


@contextmanager
def running(body, stop_seconds=60, render=None):
    """Run `body` with a `group`, then `group.run()`, in a process of its own."""
    script = f"""
try:
    with ProcessGroup({stop_seconds}, render={render}) as group:
{textwrap.indent(textwrap.dedent(body), " " * 8)}
        group.run()
except StopAskedError:
    sys.exit(0)
except ChildDiedError as error:
    sys.exit(str(error))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", PRELUDE + script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=30)


def children_when_started(process, count):
    """Wait for `count` children to have started; return them."""
    while count:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        count -= "started" in line
    return psutil.Process(process.pid).children()


def finish(process):
    """Wait for the group's process; return exit code and output."""
    output, errors = process.communicate(timeout=30)
    return process.returncode, output, errors


def assert_all_end(children):
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive


def test_lines_carry_the_name_of_their_child_and_none_is_lost():
    body = """
        start("one", "print('a'); print('b'); print('no line break', end='')")
        group.wait_until(lambda: False, 0.5)
    """
    with running(body) as process:
        code, output, errors = finish(process)
    assert output == "one   | a\none   | b\none   | no line break\n"
    assert (code, errors) == (1, "one ended unexpectedly, exit code 0\n")


def test_a_signal_stops_the_stages_from_the_highest_to_the_lowest():
    body = "start('low', POLITE, 0); start('high', POLITE, 2); start('mid', POLITE, 1)"
    with running(body) as process:
        children = children_when_started(process, 3)
        assert len(children) == 3
        process.send_signal(signal.SIGINT)
        code, output, _ = finish(process)
    assert code == 0
    assert [line.split()[0] for line in output.splitlines()] == ["high", "mid", "low"]
    assert_all_end(children)


def test_children_are_not_in_the_terminals_process_group():
    with running("start('one', POLITE)") as process:
        (child,) = children_when_started(process, 1)
        assert os.getpgid(child.pid) == child.pid != os.getpgid(process.pid)


def test_a_child_that_dies_stops_the_others_and_is_named():
    body = """
        start("other", POLITE)
        start("victim", STUBBORN)
    """
    with running(body) as process:
        other, victim = children_when_started(process, 2)
        victim.kill()
        code, output, errors = finish(process)
    assert (code, errors) == (1, "victim ended unexpectedly, killed by SIGKILL\n")
    assert output == "other | left\n"
    assert_all_end([other])


def test_a_child_that_will_not_stop_is_killed_in_the_end():
    with running("start('one', STUBBORN)", stop_seconds=0.5) as process:
        children = children_when_started(process, 1)
        process.terminate()
        code, output, _ = finish(process)
    assert code == 0
    assert output == "up    | one is still running: killed\n"
    assert_all_end(children)


def test_a_second_signal_kills_at_once_unless_it_is_an_echo_of_the_first():
    with running("start('one', STUBBORN)", stop_seconds=600) as process:
        children = children_when_started(process, 1)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        time.sleep(1)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        code, output, _ = finish(process)
    assert code == 0
    assert output == "up    | one is still running: killed\n"
    assert_all_end(children)


def test_children_end_when_the_group_itself_is_killed():
    with running("start('one', POLITE); start('two', POLITE)") as process:
        children = children_when_started(process, 2)
        process.kill()
        assert_all_end(children)


def test_a_child_can_write_its_last_lines_when_the_group_has_been_killed(tmp_path):
    code = POLITE.replace(
        "sys.exit()", f"open({str(tmp_path / 'done')!r}, 'w').close(); sys.exit()"
    )
    with running(f"start('one', {code!r})") as process:
        children = children_when_started(process, 1)
        process.kill()
        assert_all_end(children)
    assert (tmp_path / "done").exists()


def test_a_command_that_does_not_exist_stops_what_had_started():
    body = """
        start("one", POLITE)
        group.wait_until(lambda: False, 0.7)
        group.start("none", ["/no/such/command"], os.environ)
    """
    with running(body) as process:
        children = children_when_started(process, 1)
        code, output, errors = finish(process)
    assert code == 1
    assert "/no/such/command" in errors
    assert output == "one   | left\n"
    assert_all_end(children)


def test_a_log_that_nobody_reads_any_more_stops_the_group():
    body = "start('one', \"while True: print('x' * 80, flush=True)\")"
    with running(body) as process:
        process.stdout.readline()
        children = psutil.Process(process.pid).children()
        process.stdout.close()
        assert process.wait(timeout=30) == 0
        assert process.stderr.read() == ""
    assert_all_end(children)


def test_waiting_asks_at_a_steady_pace_however_much_is_written():
    body = """
        asked = []
        start("one", "while True: print('x' * 80, flush=True)")
        group.wait_until(lambda: asked.append(1), 1)
        sys.exit(f"asked {len(asked)} times")
    """
    with running(body) as process:
        _, _, errors = finish(process)
    assert 2 <= int(errors.split()[1]) <= 12


def test_lines_are_rendered_as_somebody_else_says():
    render = 'lambda name, line: f"{line} by {name}"'
    with running("start('one', 'print(\"hello\")')", render=render) as process:
        _, output, _ = finish(process)
    assert output.splitlines()[0] == "hello by one"
