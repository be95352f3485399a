"""Dependencies point one way: paka <- worker -> service.store, and service never loads torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"torch", "timm", "torchvision"}
# Runs on the user's machine, not on the server's.
LOADS_ENCODERS = ROOT / "service/client/timm_model.py"
TORCH_FREE = {
    "paka.architectures",
    "paka.choices",
    "paka.cli.completion",
    "paka.cli.embed",
    "paka.cli.errors",
    "paka.cli.options",
    "paka.cli.progress",
    "paka.cli.reference",
    "paka.cli.settings",
    "paka.config",
    "paka.data.arrow",
    "paka.data.count",
    "paka.data.decode",
    "paka.data.folder",
    "paka.data.images",
    "paka.data.links",
    "paka.data.preprocess",
    "paka.data.source",
    "paka.data.tar",
    "paka.data.zip",
    "paka.doctor.finding",
    "paka.errors",
    "paka.estimate",
    "paka.evaluation.config",
    "paka.evaluation.datasets",
    "paka.evaluation.report_schema",
    "paka.files",
    "paka.nodes",
    "paka.options",
    "paka.plots",
    "paka.presets",
    "paka.process",
    "paka.step_parts",
    "paka.run_folder",
    "paka.scenes.dataset",
    "paka.settings",
}


def imports(package):
    """(file, imported module) of every import in a package, also those inside functions."""
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield path, node.module
                yield from ((path, f"{node.module}.{alias.name}") for alias in node.names)


def root(module):
    return module.partition(".")[0]


def test_paka_knows_nothing_of_the_service():
    assert [i for i in imports("paka") if root(i[1]) in {"service", "worker"}] == []


def test_service_imports_neither_torch_nor_the_worker():
    found = [i for i in imports("service") if root(i[1]) in {*HEAVY, "worker"}]
    assert {path for path, _ in found} == {LOADS_ENCODERS}


def test_the_client_imports_nothing_of_the_server():
    client = [*imports("service/client"), *imports("service/remote")]
    used = {module for _, module in client if root(module) == "service"}
    ours = ("service.client", "service.remote")
    assert {m for m in used if m != "service" and not m.startswith(ours)} == set()


def test_service_uses_only_the_torch_free_part_of_paka():
    found = [i for i in imports("service") if i[0] != LOADS_ENCODERS]
    used = {module for _, module in found if root(module) == "paka"}
    allowed = {"paka", "paka.cli", "paka.data", "paka.evaluation"} | TORCH_FREE
    assert {m for m in used if m not in allowed and m.rpartition(".")[0] not in TORCH_FREE} == set()


def test_worker_imports_only_the_store_of_the_service():
    used = {module for _, module in imports("worker") if root(module) == "service"}
    assert {m for m in used if not m.startswith("service.store")} == set()


def test_the_api_starts_without_what_only_migrations_need():
    code = "import sys, service.serve, service.connections; sys.exit('alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.parametrize(
    "module",
    ["service.app", "service.cli", "service.client", "service.remote", "worker.app", "paka.cli"],
)
def test_what_must_start_quickly_loads_no_torch(module):
    code = f"import sys, {module}; sys.exit(', '.join({HEAVY!r} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
