"""Runs all checks, those of other packages too."""

from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points

from paka.doctor import machine, network, packages, python, torch_works, weights
from paka.doctor.finding import Finding, Request, Topic, not_applicable, problem

GROUP = "paka.checks"
"""Entry points of this group name a `Topic`."""

_OURS = (python, packages, machine, weights, torch_works, network)


def examine(request: Request) -> Iterator[tuple[str, list[Finding]]]:
    """Yield each topic's title with what was found; topics that have nothing to say are left out.

    Where a package is missing that only a check needs, that is no problem; whether it should be
    there, `packages` says. A check that fails by itself is a finding too: the others go on.
    """
    # It takes longest, so it runs beside all others.
    with torch_works.started():
        for topic in _topics():
            if findings := list(_findings(topic, request)):
                yield topic.title, findings


def _topics() -> Iterator[Topic]:
    yield from (module.TOPIC for module in _OURS)
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        yield _load(entry)


def _load(entry: EntryPoint) -> Topic:
    try:
        topic: Topic = entry.load()
        return topic
    except ModuleNotFoundError as error:
        lacking = _lacking(entry.name, error)
        return Topic(entry.name, lambda _: [lacking])


def _findings(topic: Topic, request: Request) -> Iterator[Finding]:
    try:
        yield from topic.check(request)
    except ModuleNotFoundError as error:
        yield _lacking(topic.title, error)
    except Exception as error:  # whatever is wrong with this machine must not end the others
        reason = f"the check itself failed: {type(error).__name__}: {error}"
        yield problem(topic.title, reason, "report this, with the output of paka doctor --json")


def _lacking(check: str, error: ModuleNotFoundError) -> Finding:
    return not_applicable(check, f"needs {error.name}", "pip install 'paka-service[server]'")
