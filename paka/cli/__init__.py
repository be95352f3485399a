"""The command `paka`: train, embed, show, encoders. Commands import what is slow when they run."""

from paka.cli.main import app as app
