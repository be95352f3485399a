"""Runs `paka` commands in copies of a process that has imported torch already: seconds for each.

`python server.py SOCKET`; a command comes with its arguments, folder, environment, and its standard
input, output and error, and gets its exit code back.
"""

import json
import os
import socket
import sys
import traceback


def main(path):
    """Serve one command after another until the process is told to end."""
    from importlib.metadata import entry_points

    import matplotlib.pyplot  # noqa: F401
    import pandas  # noqa: F401
    import rich.table  # noqa: F401
    import scipy.optimize  # noqa: F401
    import timm  # noqa: F401
    import torch  # noqa: F401

    import paka.cli  # noqa: F401

    for command in entry_points(group="paka.commands"):
        command.load()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        while True:
            connection, _ = listening.accept()
            with connection:
                message, files, _, _ = socket.recv_fds(connection, 2**20, 3)
                while part := connection.recv(2**20):
                    message += part
                code = run(json.loads(message), files)
                connection.sendall(str(code).encode())


def command(arguments):
    """Run `paka`; ends by SystemExit."""
    from paka.cli import app

    sys.argv = ["paka", *arguments]
    app()


def run(order, files):
    """Run a command in a copy of this process, and return its exit code."""
    child = os.fork()
    if not child:
        for number, file in enumerate(files):
            os.dup2(file, number)
        os.chdir(order["folder"])
        os.environ.clear()
        os.environ.update(order["environment"])
        code = 1
        try:
            command(order["arguments"])
        except SystemExit as end:
            code = end.code or 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)  # to take all of torch down again costs two seconds
    for file in files:
        os.close(file)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    main(sys.argv[1])
