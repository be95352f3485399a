"""The files by which others may use, cite and follow this project."""

import datetime
import hashlib
import re
import tomllib

import pytest
import yaml

from tests.docs.blocks import REPOSITORY

APACHE_2 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
"""SHA-256 of the licence's text as the Apache foundation gives it."""


def project():
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


def test_the_licence_is_apache_2_to_the_letter():
    content = (REPOSITORY / "LICENSE").read_bytes()
    assert hashlib.sha256(content).hexdigest() == APACHE_2
    assert project()["license"] == "Apache-2.0"


def test_the_citation_has_what_the_format_asks_for():
    cited = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    assert cited["cff-version"] == "1.2.0"
    assert cited["type"] == "software"
    assert cited["version"] == project()["version"]
    assert cited["license"] == project()["license"]
    assert isinstance(cited["date-released"], datetime.date)
    assert cited["message"]
    [paper] = cited["references"]
    for work in (cited, paper):
        assert work["title"]
        assert work["authors"]
        assert all(
            {"family-names", "given-names"} <= set(a) or "name" in a for a in work["authors"]
        )
    assert paper["identifiers"] == [{"type": "other", "value": "arXiv:2509.05606"}]


@pytest.mark.parametrize("package", ["paka", "service"])
def test_type_checkers_read_the_types_of_what_others_import(package):
    packed = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert (REPOSITORY / package / "py.typed").exists()
    assert "py.typed" in packed["package-data"][package]


def test_the_changelog_is_in_order_and_up_to_date():
    text = (REPOSITORY / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    releases = [
        re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)", one) for one in headings[1:]
    ]
    assert all(releases), headings
    versions = [tuple(map(int, one[1].split("."))) for one in releases]
    assert versions == sorted(versions, reverse=True)
    assert releases[0][1] == project()["version"]
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= kinds
