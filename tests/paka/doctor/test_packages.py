from importlib.metadata import version

import pytest
from packaging.requirements import Requirement

from paka.doctor import packages
from paka.doctor.finding import Level, Request


def judge(extra, *wanted, others=()):
    return packages.judge(extra, [Requirement(text) for text in wanted], set(others))


def test_this_installation_has_all_it_needs():
    found = {finding.check: finding for finding in packages.check(Request())}
    assert {"packages", "train", "server", "client", "export"} <= set(found)
    assert not {"dev", "docs"} & set(found)
    assert found["train"].level is Level.OK
    assert f"torch {version('torch')}" in found["train"].found


def test_a_version_that_is_too_old_is_named_with_what_is_needed():
    found = judge("train", "numpy>=999", "rich")
    assert found.level is Level.PROBLEM
    assert found.found == f"numpy is {version('numpy')}, needed is >=999"
    assert found.remedy == "pip install 'paka-service[train]'"


@pytest.mark.parametrize(
    ("extra", "wanted", "others", "level"),
    [
        ("", ["no-such-package", "rich"], [], Level.PROBLEM),
        ("train", ["no-such-package"], [], Level.NOT_APPLICABLE),
        ("train", ["no-such-package", "rich"], [], Level.PROBLEM),  # half an installation
        ("train", ["no-such-package", "rich"], ["rich"], Level.NOT_APPLICABLE),
        ("export", ["no-such-package", "rich"], [], Level.WARNING),
    ],
)
def test_what_a_missing_package_means(extra, wanted, others, level):
    found = judge(extra, *wanted, others=others)
    assert (found.level, found.found) == (level, "not installed: no-such-package")
    assert found.remedy.startswith("pip install 'paka-service")
