import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest


def test_help_names_every_command(paka):
    result = paka("--help")
    assert result.exit_code == 0
    for command in ("train", "embed", "show", "encoders"):
        assert command in result.output


def test_the_version_is_the_packages(paka):
    assert paka("--version").output.strip() == f"paka {version('paka-service')}"


def test_help_loads_nothing_heavy():
    code = (
        "import sys\n"
        "from paka.cli import app\n"
        "app(['train', '--help'], standalone_mode=False)\n"
        "print(sorted({'torch', 'timm', 'matplotlib', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(("given", "found"), [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7")])
def test_cores_wait_for_one_another_asleep_unless_somebody_wants_otherwise(given, found):
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    code = (
        "import os, sys, paka.cli\n"
        "cli = sys.modules['paka.cli.main']\n"
        "cli.app = lambda **_: sys.exit(os.environ['GOMP_SPINCOUNT'] != sys.argv[1])\n"
        "cli.main()"
    )
    command = [sys.executable, "-c", code, found]
    assert subprocess.run(command, env=environment | given).returncode == 0


@pytest.mark.parametrize("unbuffered", ["1", ""])
def test_a_full_disk_is_told_in_words(unbuffered):
    command = [sys.executable, "-m", "paka.cli", "encoders"]
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment
        )
    assert done.returncode == 1
    assert "error: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_place_that_cannot_be_written_to_is_named(photos, tmp_path):
    (tmp_path / "file").touch()
    command = [sys.executable, "-m", "paka.cli", "embed", photos / "coffee.jpg", "--size", "32"]
    command += ["--encoder", "test_vit@random", "--output", tmp_path / "file" / "features.npy"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path / 'file'}: File exists\n"
