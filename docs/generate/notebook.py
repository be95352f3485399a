"""A notebook as a page: its text, its code, and what it has printed and drawn."""

from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter


def page(notebook: Path) -> tuple[str, dict[str, bytes]]:
    """Markdown of an executed notebook, and its pictures by the names that the text gives them."""
    exporter = MarkdownExporter()  # type: ignore[no-untyped-call]
    found = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
    resources = {"unique_key": notebook.stem, "output_files_dir": f"{notebook.stem}-pictures"}
    text, made = exporter.from_notebook_node(found, resources=resources)
    return text, made["outputs"]
