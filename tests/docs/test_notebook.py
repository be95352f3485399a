"""The notebook of the pages runs from first cell to last, and shows what it did when kept."""

import nbformat
import pytest
from nbclient import NotebookClient

from tests.docs.blocks import REPOSITORY

NOTEBOOK = REPOSITORY / "docs/features.ipynb"
MAX_BYTES = 150_000


@pytest.mark.filterwarnings("ignore::DeprecationWarning:zmq", "ignore::DeprecationWarning:jupyter")
def test_the_notebook_runs_as_it_is_kept(reader):
    kept = nbformat.read(NOTEBOOK, as_version=4)
    anew = nbformat.read(NOTEBOOK, as_version=4)
    for cell in anew.cells:
        cell.outputs = []
        cell.source = reader.localise(cell.source)
    resources = {"metadata": {"path": str(reader.folder)}}
    NotebookClient(anew, timeout=200, kernel_name="python3", resources=resources).execute()
    for before, after in zip(kept.cells, anew.cells, strict=True):
        assert shown(before) == shown(after), before.source
    reader.leave()


def test_the_notebook_is_kept_as_it_has_run():
    cells = [
        cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"
    ]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert NOTEBOOK.stat().st_size < MAX_BYTES


def shown(cell):
    """The text that a cell shows, and of what kinds its pictures are."""
    outputs = cell.get("outputs", ())
    assert not any(output.get("name") == "stderr" for output in outputs), outputs
    return [
        output.get("text") or sorted(output.data)
        if "image/png" in output.get("data", ())
        else output.get("text") or output.data["text/plain"]
        for output in outputs
    ]
