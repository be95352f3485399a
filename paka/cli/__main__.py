"""`python -m paka.cli` is the command `paka`."""

from paka.cli import app

app(prog_name="paka")
