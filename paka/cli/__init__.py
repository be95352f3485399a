"""The command `paka`: post-train an encoder, extract its dense features, look at both.

Here are words, options and messages; the work is done by `paka`'s other modules, which are imported
inside the commands, so that `--help` is there at once.
"""

from paka.cli.main import app, main

__all__ = ["app", "main"]
