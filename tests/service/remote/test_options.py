"""What holds for every command: what it needs."""

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
