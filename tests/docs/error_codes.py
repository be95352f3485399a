"""The codes of errors that the source can answer with."""

import ast
import re
from collections.abc import Iterator

from tests.docs.blocks import REPOSITORY

CALLS = {"ApiError": 1, "invalid_field": 2, "unavailable": 0, "_full": 1, "refusal": 0}
CALLS |= {"UnpackError": 0, "ArchiveError": 1, "EmbedError": 0}
"""Functions that make an error, and which of their arguments is its code."""


def error_codes() -> set[str]:
    """Every code that is written in a call that makes an error, and those of the framework."""
    from service.errors import _CODES

    sources = [*(REPOSITORY / "service").rglob("*.py"), REPOSITORY / "worker/embed.py"]
    trees = [ast.parse(source.read_text()) for source in sources]
    return {*_CODES.values(), "http_error", *(code for tree in trees for code in _codes(tree))}


def _codes(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name == "not_found" and isinstance(node.args[0], ast.Constant):
                yield f"{node.args[0].value.replace(' ', '_')}_not_found"
            place = CALLS.get(name)
            if place is not None and place < len(node.args):
                code = getattr(node.args[place], "value", None)
                if isinstance(code, str) and re.fullmatch(r"[a-z_]+", code):
                    yield code
