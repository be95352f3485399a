"""The command `paka remote`: a service elsewhere, from the shell.

Here are words, options and tables; the work is done by `service.client`, which is imported inside
the commands, so that `paka --help` is there at once. `paka` finds this by the entry point
`paka.commands`.
"""

from service.remote.app import app

__all__ = ["app"]
