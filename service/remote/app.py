"""The command and its parts."""

from typing import Annotated

import typer

from service.remote.cluster import cluster, status
from service.remote.datasets import datasets, upload
from service.remote.embed import embed
from service.remote.encoders import download, encoders
from service.remote.evaluate import evaluate, report
from service.remote.follow import events, logs, metrics, wait
from service.remote.jobs import cancel, delete, job, jobs, resume, update
from service.remote.login import login, logout
from service.remote.options import Connection
from service.remote.train import train

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (
    *(train, evaluate, embed),
    *(jobs, job, wait, logs, events, metrics, report),
    *(cancel, resume, update, delete),
    *(encoders, download, datasets, upload),
    *(cluster, status, login, logout),
):
    app.command()(command)


@app.callback()
def _main(
    context: typer.Context,
    url: Annotated[
        str | None,
        typer.Option(
            help="Of the service [PAKA_URL, that of `login`, http://127.0.0.1:8000].",
            show_default=False,
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="Yours [PAKA_KEY, that of `login`].", show_default=False),
    ] = None,
) -> None:
    """Use a PaKA service: submit jobs, follow them, fetch what they made.

    \b
    paka remote upload photos                      a folder becomes a data set on the server
    paka remote train photos --preset tiny --wait  post-train on it, and wait for the end
    paka remote jobs --status running              what runs
    paka remote logs -f job_…                      what a job prints
    paka remote download enc_…                     an encoder, as a file for timm

    Exit codes: 0 done; 1 failed, or refused; 2 options or settings that cannot work; 3 cancelled,
    or stopped by Ctrl-C; 4 the service does not answer, is too busy, or does not know the key.
    """
    context.obj = Connection(url, key)
