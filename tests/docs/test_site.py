"""The site is built without a warning, needs no network, and leaves nothing of the code out."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
import yaml

from paka.config import TrainConfig
from paka.evaluation.config import EvaluateConfig
from paka.options import FeatureOptions
from tests.docs.blocks import PAGES, REPOSITORY

DOCS = REPOSITORY / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=REPOSITORY,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


class Page(HTMLParser):
    """The addresses from which a browser loads what a page shows, and its text."""

    def __init__(self, file):
        super().__init__()
        self.loaded, self.text = [], ""
        self.feed(file.read_text())

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if tag in ("script", "img", "iframe", "source"):
            self.loaded.append(found.get("src") or "")
        elif tag == "link" and found.get("rel") in ("stylesheet", "preload", "icon", "preconnect"):
            self.loaded.append(found["href"])

    def handle_data(self, data):
        self.text += data


def test_every_page_is_built_and_loads_nothing_from_elsewhere(site):
    built = sorted(site.rglob("*.html"))
    expected = {page.stem for page in PAGES if page.parent == DOCS} | {"features", "404"}
    assert {page.stem for page in built} == expected
    for file in built:
        outside = [url for url in Page(file).loaded if re.match(r"(https?:)?//", url)]
        assert not outside, (file, outside)


def test_every_page_is_in_the_navigation():
    def pages(entry):
        if isinstance(entry, str):
            yield entry
        for part in entry.values() if isinstance(entry, dict) else entry:
            if not isinstance(entry, str):
                yield from pages(part)

    nav = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text())["nav"]
    listed = sorted(pages(nav))
    there = [page.name for page in PAGES if page.parent == DOCS]
    assert listed == sorted([*there, "features.md"])


def test_settings_are_listed_with_their_bounds_and_presets(site):
    text = Page(site / "settings.html").text
    for model in (TrainConfig, EvaluateConfig, FeatureOptions):
        for path in field_paths(model):
            assert re.search(rf"\b{re.escape(path)}\b", text), path
    row = text.partition("views.global_size\n")[2].split("\n")
    assert [cell for cell in row if cell][:5] == [
        *("integer, 32 … 2,048", "518", "224", "128"),
        "Teacher crop's side in pixels.",
    ]
    assert "must be given" in text


def field_paths(model):
    """Every field of a model and of its sections, but what is said of evaluations elsewhere."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if hasattr(inner, "model_fields"):
            yield from (f"{name}.{each}" for each in field_paths(inner))
        elif name != "evaluate":
            yield name


def test_routes_are_listed_with_their_parameters_and_objects(site):
    from docs.generate.http import SECTIONS, document

    text = Page(site / "http.html").text
    made = document()
    for path, methods in made["paths"].items():
        for method, operation in methods.items():
            section = text.partition(f"{method.upper()} {path}¶")[2].partition("\nErrors (")
            assert operation["summary"] in section[0], (method, path)
            for parameter in operation.get("parameters", []):
                assert parameter["name"] in section[0]
            for status in operation["responses"]:
                assert status in section[0] + section[2].partition("\n")[0]
    objects = text.rpartition("\nObjects")[2]
    for name, schema in made["components"]["schemas"].items():
        assert name in SECTIONS or all(
            field in objects for field in (name, *schema.get("properties", ()))
        )


def test_the_notebook_is_a_page_with_its_pictures(site):
    page = Page(site / "features.html")
    pictures = [url for url in page.loaded if "features-pictures" in url]
    assert len(pictures) == 4
    assert all((site / url).stat().st_size for url in pictures)
    assert "(4, 28, 28, 192)" in page.text
