"""The head of README.md, which the first page of the site shows as well."""

from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def head() -> str:
    """All before the first section, with links that lead to the same pages from docs/."""
    text, _, _ = README.read_text().partition("\n## ")
    _title, _, rest = text.partition("\n")
    return rest.replace("](docs/", "](")
