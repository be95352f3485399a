"""What README and the pages name is there: files, places in the code, links, variables, codes."""

import ast
import re
import urllib.parse

import pytest
from markdown_it import MarkdownIt

from tests.docs.blocks import PAGES, REPOSITORY, name_of
from tests.docs.commands import subcommands
from tests.docs.error_codes import error_codes

DOCUMENTS = (*PAGES, REPOSITORY / "CHANGELOG.md")
FILES_OF_USERS = {"docker/caddy/certs/cert.pem"}
TREES = "paka|service|worker|tests|docs|benchmarks|alembic|docker"


def inline(page, kind):
    """The tokens of one kind within the text of a page, each with its line."""
    for token in MarkdownIt("commonmark").enable("table").parse(page.read_text()):
        for child in token.children or ():
            if child.type == kind:
                yield (token.map or [0])[0] + 1, child


@pytest.mark.parametrize("page", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(page):
    for line, token in inline(page, "link_open"):
        check_link(page, line, token.attrs["href"])
    for line, token in inline(page, "image"):
        check_link(page, line, token.attrs["src"])


def check_link(page, line, target):
    """Of an address elsewhere only the form is looked at: tests need no network.

    Names of headings are looked up from outside of docs; within it the site's build does so, and
    knows the generated ones.
    """
    place = f"{name_of(page)}:{line}: {target}"
    address = urllib.parse.urlsplit(target)
    if address.hostname in ("localhost", "127.0.0.1"):
        return
    if address.scheme:
        assert address.scheme == "https", place
        assert re.fullmatch(r"([\w-]+\.)+[a-z]+", address.netloc), place
        return
    file = (page.parent / urllib.parse.unquote(address.path)).resolve() if address.path else page
    assert file.exists(), place
    assert file.is_relative_to(REPOSITORY), place
    if address.fragment and page.parent == REPOSITORY and file.suffix == ".md":
        assert urllib.parse.unquote(address.fragment) in anchors(file), place


def anchors(page):
    """The names by which the headings of a page can be linked to."""
    from markdown.extensions.toc import slugify

    tokens = MarkdownIt("commonmark").parse(page.read_text())
    headings = [tokens[i + 1].content for i, t in enumerate(tokens) if t.type == "heading_open"]
    return {slugify(heading, "-") for heading in headings}


@pytest.mark.parametrize("page", DOCUMENTS, ids=name_of)
def test_files_and_places_in_the_code_are_there(page):
    for line, token in inline(page, "code_inline"):
        found = re.fullmatch(rf"((?:{TREES})/[\w./-]+)(?::([\w.]+))?", token.content)
        if found and found[1] not in FILES_OF_USERS:
            file = REPOSITORY / found[1]
            place = f"{name_of(page)}:{line}: {token.content}"
            assert file.exists(), place
            assert found[2] is None or found[2] in definitions(file), place


def definitions(file):
    """The names of a module's functions and classes, and `Class.method`."""
    names = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
            inner = node.body if isinstance(node, ast.ClassDef) else ()
            names |= {f"{node.name}.{each.name}" for each in inner if hasattr(each, "name")}
    return names


@pytest.mark.parametrize("page", DOCUMENTS, ids=name_of)
def test_variables_of_the_environment_are_read_somewhere(page):
    known = known_variables()
    for name in set(re.findall(r"\bPAKA_[A-Z_]+", page.read_text())):
        prefix = name.endswith("_")  # as in PAKA_RETENTION_…
        assert any(one.startswith(name) if prefix else one == name for one in known), name


def known_variables():
    """The settings' variables, and those that Docker Compose and the client read."""
    from service.store.settings import Settings

    sources = [*REPOSITORY.glob("docker-compose*.yml"), REPOSITORY / ".env.example"]
    for tree in ("paka", "service", "worker", "docker"):
        sources += (REPOSITORY / tree).rglob("*.*")
    sources += [REPOSITORY / "tests/conftest.py"]
    texts = [
        file.read_text() for file in sources if file.suffix in (".yml", ".example", ".py", ".sh")
    ]
    found = {name for text in texts for name in re.findall(r"\bPAKA_[A-Z_]+\b", text)}
    return found | {f"PAKA_{name.upper()}" for name in Settings.model_fields}


def test_every_code_of_an_error_is_explained():
    text = (REPOSITORY / "docs/http.md").read_text().partition("| code | status |")[2]
    explained = set(re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE))
    assert error_codes() - explained == set()
    source = "".join(file.read_text() for file in (REPOSITORY / "service").rglob("*.py"))
    made = {*error_codes(), *re.findall(r'"([a-z_]+)"', source)}
    assert explained - made == set()


@pytest.mark.parametrize("page", DOCUMENTS, ids=name_of)
def test_commands_within_sentences_are_there(page):
    """They may leave out what they need, so only their names are looked at."""
    for line, token in inline(page, "code_inline"):
        if found := re.match(r"(paka|paka-server|make) ([a-z]+)", token.content):
            place = f"{name_of(page)}:{line}: {token.content}"
            assert found[2] in subcommands(found[1]), place
