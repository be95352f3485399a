"""Whether an attempt is lost, by what its nodes say."""

import signal
from types import SimpleNamespace

import pytest

from paka.run_folder import Outcome
from worker.verdict import error_of, reason_of_death

FAILED, STOPPED = Outcome("failed", 3, "connection closed"), Outcome("stopped", 3)
OOM = 128 + signal.SIGKILL


def others(died=(), failed=()):
    return SimpleNamespace(died=[*died], failed=[*failed])


@pytest.mark.parametrize(
    ("ending", "outcome", "code", "nodes", "reason"),
    [
        ("exited", FAILED, 1, None, None),
        ("exited", FAILED, 1, others(), None),
        ("exited", STOPPED, 3, others(failed=["node 1: no disk"]), None),
        ("exited", FAILED, 1, others(died=["node 1: gone"]), "node 1: gone"),
        ("exited", FAILED, OOM, others(failed=["node 1: closed"]), "killed by SIGKILL"),
        ("node_ended", None, OOM, others(failed=["node 1: closed"]), "killed by SIGKILL"),
        ("exited", None, -signal.SIGKILL, None, "killed by SIGKILL"),
        ("node_ended", None, -signal.SIGKILL, others(failed=["node 1: no disk"]), None),
        ("node_ended", None, 1, others(), None),
    ],
)
def test_an_outcome_is_believed_unless_something_was_killed(ending, outcome, code, nodes, reason):
    found = reason_of_death(ending, outcome, code, nodes)
    assert found is None if reason is None else reason in found


def test_the_errors_of_all_nodes_are_told_the_first_ones_first():
    assert error_of(STOPPED, None) is None
    assert error_of(None, others()) is None
    assert error_of(FAILED, None) == "connection closed"
    assert error_of(FAILED, others(failed=["node 1: no disk"])) == (
        "connection closed; node 1: no disk"
    )
    assert error_of(STOPPED, others(failed=["node 1: no disk"])) == "node 1: no disk"
