from importlib.metadata import EntryPoint
from types import SimpleNamespace

import pytest

from paka.doctor import examine as module
from paka.doctor.examine import GROUP, examine
from paka.doctor.finding import Level, Request, Topic, ok


def fails(_request):
    yield ok("first", "still told")
    raise OSError("the disk is gone")


@pytest.fixture
def only(monkeypatch):
    """Lets `examine` run the given checks alone, and find the given entry points."""

    def choose(*checks, entries=()):
        ours = [SimpleNamespace(TOPIC=Topic(check.__name__, check)) for check in checks]
        monkeypatch.setattr(module, "_OURS", ours)
        found = [EntryPoint(name, value, GROUP) for name, value in entries]
        monkeypatch.setattr(module, "entry_points", lambda group: found if group == GROUP else ())
        monkeypatch.setattr(module.torch_works, "COMMAND", ("true",))
        return dict(examine(Request()))

    return choose


def test_a_check_that_fails_is_a_problem_and_the_others_go_on(only):
    def fine(_request):
        yield ok("fine", "all is well")

    found = only(fails, fine)
    first, second = found["fails"]
    assert first.found == "still told"
    assert second.level is Level.PROBLEM
    assert "OSError: the disk is gone" in second.found
    assert [finding.check for finding in found["fine"]] == ["fine"]


def test_a_topic_with_nothing_to_say_is_left_out(only):
    def silent(_request):
        yield from ()

    assert only(silent) == {}


def test_checks_of_other_packages_are_found_by_their_entry_point(only):
    found = only(entries=[("ours", "service.doctor.here:TOPIC"), ("none", "no_such_module:TOPIC")])
    assert {"Service", "none"} == set(found)
    (lacking,) = found["none"]
    assert (lacking.level, lacking.found) == (Level.NOT_APPLICABLE, "needs no_such_module")


def test_a_check_that_needs_a_missing_package_does_not_apply(only):
    def lacking(_request):
        import no_such_module

        yield no_such_module

    (found,) = only(lacking)["lacking"]
    assert (found.level, found.found) == (Level.NOT_APPLICABLE, "needs no_such_module")


def test_the_service_announces_its_checks():
    from importlib.metadata import entry_points

    topics = [entry.load() for entry in entry_points(group=GROUP)]
    assert {topic.title for topic in topics} == {"Service", "Server", "Docker Compose"}
