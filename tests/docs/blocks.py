"""Fenced blocks of the Markdown pages, and where they stand."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = (
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
    *sorted((REPOSITORY / "docs").glob("*.md")),
)
_NOT_RUN = re.compile(r"<!--\s*not run:\s*(.*?)\s*-->\s*", re.DOTALL)


class Block(NamedTuple):
    """A block of a page.

    `not_run` is the reason given in the comment just above it, `<!-- not run: reason -->`; such a
    block is checked without running it.
    """

    page: Path
    line: int
    language: str
    text: str
    not_run: str | None

    @property
    def place(self) -> str:
        """Page and line of its first line, for messages."""
        return f"{name_of(self.page)}:{self.line}"


def name_of(page: Path) -> str:
    """A page's path in the repository."""
    return str(page.relative_to(REPOSITORY))


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page in order; one that is indented instead of fenced has no language."""
    reason = None
    for token in MarkdownIt("commonmark").parse(page.read_text()):
        if token.type in ("fence", "code_block"):
            line = token.map[0] + (2 if token.type == "fence" else 1)
            yield Block(page, line, token.info.strip(), token.content, reason)
        found = _NOT_RUN.fullmatch(token.content) if token.type == "html_block" else None
        reason = found.group(1) if found else None
