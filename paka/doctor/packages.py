"""Whether each extra of this package is there, in versions that it works with."""

from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from packaging.requirements import Requirement

from paka.doctor.finding import (
    Finding,
    Request,
    Topic,
    not_applicable,
    ok,
    problem,
    warning,
)

PACKAGE = "paka-service"
_FOR_DEVELOPERS = ("dev", "docs")


def check(_request: Request) -> Iterator[Finding]:
    """One finding for what every use needs, and one for each extra."""
    needed = [Requirement(text) for text in requires(PACKAGE) or ()]
    names = metadata(PACKAGE).get_all("Provides-Extra") or []
    plain = [one for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    yield judge("", plain, set())
    for extra in names:
        if extra in _FOR_DEVELOPERS:
            continue
        own = [one for one in needed if one not in plain and _belongs(one, extra)]
        others = {one.name for one in needed if one in plain or not _belongs(one, extra)}
        yield judge(extra, own, others)


def judge(extra: str, wanted: Iterable[Requirement], others: set[str]) -> Finding:
    """What is there of one extra; an empty name stands for what every use needs.

    Args:
        others: packages that something else needs too: their presence says nothing.
    """
    found: dict[str, str] = {}
    missing, wrong, own = [], [], []
    for one in wanted:
        try:
            found[one.name] = version(one.name)
        except PackageNotFoundError:
            missing.append(one.name)
            continue
        if one.name not in others:
            own.append(one.name)
        if not one.specifier.contains(found[one.name], prereleases=True):
            wrong.append(f"{one.name} is {found[one.name]}, needed is {one.specifier}")
    remedy = f"pip install '{PACKAGE}{f'[{extra}]' if extra else ''}'"
    name = extra or "packages"
    lacking = f"not installed: {', '.join(missing)}"
    if wrong:
        return problem(name, "; ".join(wrong + ([lacking] if missing else [])), remedy)
    if not missing:
        return ok(name, ", ".join(f"{one} {number}" for one, number in found.items()))
    if not extra or (own and extra in ("train", "server")):
        return problem(name, lacking, remedy)
    return (warning if own else not_applicable)(name, lacking, remedy)


def _belongs(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is not None and requirement.marker.evaluate({"extra": extra})


TOPIC = Topic("Packages", check)
