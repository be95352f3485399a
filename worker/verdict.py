"""What an attempt comes to whose process did not finish."""

from paka.run_folder import EXIT_CODES, Outcome
from worker.others import Others
from worker.process import describe_exit
from worker.supervisor import Ending


def reason_of_death(
    ending: Ending, outcome: Outcome | None, code: int, others: Others | None
) -> str | None:
    """Why the attempt is lost and the job may be tried again; None if its outcome can be believed.

    If one of several training processes was killed, the first one's outcome only says that it could
    not go on without it; the exit code tells of the killed one, or the worker of its node does.
    """
    if others and others.died:
        return "; ".join(others.died)
    if outcome and code == EXIT_CODES[outcome.outcome]:
        return None
    # Asked to leave because of another node, it had nothing to say yet, or was too slow.
    made_to_leave = ending == "node_ended" and outcome is None and code < 128
    return None if made_to_leave else describe_exit(code)


def error_of(outcome: Outcome | None, others: Others | None) -> str | None:
    """The errors of those nodes that have one, the first node's first; None if it only stopped."""
    errors = [outcome.error or ""] if outcome and outcome.outcome == "failed" else []
    errors += others.failed if others else []
    return "; ".join(errors) if errors else None
