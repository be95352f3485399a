"""What holds for every command: what it needs, and Ctrl-C."""

import signal
import socket
import subprocess
import sys

import pytest


@pytest.mark.parametrize("command", ["jobs", "login", "logout"])
def test_where_the_client_is_not_installed_its_extra_is_named(command):
    code = """
import sys
sys.modules["httpx"] = None
from paka.cli import app
app(sys.argv[1:])
"""
    done = subprocess.run(
        [sys.executable, "-c", code, "remote", command],
        input="",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.endswith("pip install 'paka-service[client]'\n")


def test_ctrl_c_before_an_answer_is_exit_code_3():
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        process = subprocess.Popen(
            [sys.executable, "-m", "paka.cli", "remote", "--url", url, "jobs"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        connection, _ = server.accept()
        with connection:
            connection.recv(1)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err.strip()) == (3, "", "stopped")
