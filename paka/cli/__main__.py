"""`python -m paka.cli` is the command `paka`."""

from paka.cli import main

main()
