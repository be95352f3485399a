"""Every block of README and of the pages runs as it stands there, or says why it does not."""

import json
import re
import shutil
import tomllib

import pytest
import yaml

from tests.docs.blocks import PAGES, REPOSITORY, blocks, name_of
from tests.docs.commands import check_commands

LANGUAGES = {"sh", "python", "json", "yaml", "toml", "ini", "nginx", "text"}
STANDING = re.compile(r"(\.venv/bin/)?paka-server up\b|make (up|setup)\b")
"""Blocks that begin so set up what is here already: the service that the others speak to."""


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_blocks_of_a_page_run_one_after_another(page, request):
    runnable = [block for block in blocks(page) if runs(block)]
    if not runnable:
        return
    if any("curl" in block.text for block in runnable) and not shutil.which("curl"):
        pytest.skip("no curl here")
    reader = request.getfixturevalue("reader")
    for number, block in enumerate(runnable, start=1):
        reader.run(block, later="".join(each.text for each in runnable[number:]))
    reader.leave()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_blocks_that_do_not_run_are_right_as_far_as_can_be_seen(page):
    wrong = []
    for block in blocks(page):
        try:
            check(block)
        except (ValueError, SyntaxError, yaml.YAMLError) as error:
            wrong.append(f"{block.place}: {error}")
    assert not wrong, "\n".join(wrong)


def runs(block):
    """Whether a block is run, rather than looked at."""
    if block.language not in ("sh", "python") or block.not_run is not None:
        return False
    return not STANDING.match(block.text)


def check(block):
    """Raise a ValueError, or what the language's parser does, if a block cannot be right."""
    if block.language not in LANGUAGES:
        raise ValueError(
            f"{block.language!r} is none of {sorted(LANGUAGES)}; indented blocks and "
            "others cannot be checked"
        )
    if block.not_run == "":
        raise ValueError("give the reason why it does not run")
    if block.language == "sh" and not runs(block):
        check_commands(block.text)
    elif block.language == "python":
        compile(block.text, block.place, "exec")
    elif block.language == "json":
        json.loads(block.text)
    elif block.language == "toml":
        tomllib.loads(block.text)
    elif block.language == "yaml":
        check_yaml(block.text)


class _Loader(yaml.SafeLoader):
    """Knows the tag by which Docker Compose replaces instead of merging."""


_Loader.add_constructor("!override", lambda loader, node: loader.construct_mapping(node, deep=True))


def check_yaml(text):
    """Parse YAML; services of Docker Compose are those of our file, or bring an image."""
    found = yaml.load(text, _Loader)
    ours = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
    services = found.get("services", {}) if isinstance(found, dict) else {}
    unknown = {name for name, one in services.items() if name not in ours and "image" not in one}
    if unknown:
        raise ValueError(f"docker-compose.yml has no services {sorted(unknown)}")
