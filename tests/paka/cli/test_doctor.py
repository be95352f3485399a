import json
import re
import subprocess
import sys

import pytest

from paka.doctor import examine
from paka.doctor.finding import Topic, not_applicable, ok, problem, warning

FINDINGS = [
    ok("Python", "3.12.3"),
    warning("memory", "1.2 GB free of 16 GB " + "and so on " * 12, "end other programs"),
    not_applicable("GPU", "none"),
]
TROUBLE = problem("shared memory", "67 MB in /dev/shm", "docker run --shm-size=8g")


@pytest.fixture
def finding(monkeypatch):
    """Lets the command find what is given, and nothing else."""

    def find(*findings):
        module = type("module", (), {"TOPIC": Topic("Machine", lambda _: findings)})
        monkeypatch.setattr(examine, "_OURS", [module])
        monkeypatch.setattr(examine, "entry_points", lambda group: ())
        monkeypatch.setattr(examine.torch_works, "COMMAND", ("true",))
        monkeypatch.setenv("COLUMNS", "80")

    return find


def test_it_lists_what_it_finds_with_remedies_in_80_columns_without_colour(paka, finding):
    finding(*FINDINGS, TROUBLE)
    done = paka("doctor")
    assert done.exit_code == 1
    assert max(map(len, done.output.splitlines())) <= 80
    assert "\x1b" not in done.output
    assert re.search(r"^ok +Python +3\.12\.3", done.output, re.MULTILINE)
    assert re.search(r"^warning +memory ", done.output, re.MULTILINE)
    assert re.search(r"^PROBLEM +shared memory +67 MB", done.output, re.MULTILINE)
    assert re.search(r"^ +-> docker run --shm-size=8g", done.output, re.MULTILINE)
    assert done.output.endswith("\n1 problem, 1 warning\n")


def test_warnings_alone_are_a_success(paka, finding):
    finding(*FINDINGS)
    done = paka("doctor")
    assert (done.exit_code, done.output.splitlines()[-1]) == (0, "0 problems, 1 warning")


def test_json_has_every_finding(paka, finding):
    finding(*FINDINGS, TROUBLE)
    done = paka("doctor", "--json")
    assert done.exit_code == 1
    report = json.loads(done.output)
    assert (report["problems"], report["warnings"]) == (1, 1)
    assert report["findings"][-1] == {"topic": "Machine", **TROUBLE._asdict()}
    assert report["findings"][2]["level"] == "not applicable"


def test_the_command_itself_loads_no_torch():
    code = (
        "import sys, paka.cli.doctor, paka.doctor.examine\n"
        "sys.exit(', '.join({'torch', 'timm', 'faiss', 'service'} & set(sys.modules)) or 0)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
