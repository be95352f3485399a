"""The command `paka-server`: start the service as a whole or in parts, migrate, check.

Only typer is imported until a command runs, so that `--help` is quick. Every part starts by its
command line (`service.commands`), never by import: this process needs neither FastAPI nor torch.
"""

import os
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from service.audit.commands import audit
from service.backup.commands import backup, restore
from service.console import Data, Home, Host, Port, load_settings, reporting_errors
from service.retention.commands import gc
from service.users.commands import user as user_commands

if TYPE_CHECKING:
    from service.store.settings import Settings

app = typer.Typer(
    help="Run PaKA Service: the API, its workers, and its database.",
    epilog="Every setting can also come from the environment, as PAKA_HOME, PAKA_PORT, "
    "PAKA_DATABASE_URL, PAKA_REDIS_URL and so on; docs/deploy.md lists them. "
    "Options come before the environment.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help is there in half the time
)


class Queue(StrEnum):
    """What a worker works on."""

    JOBS = "jobs"
    EMBED = "embed"
    ALL = "all"


class Part(StrEnum):
    """What can be checked."""

    API = "api"
    JOBS = "jobs"
    EMBED = "embed"


@app.command()
def up(host: Host = None, port: Port = None, home: Home = None, data: Data = None) -> None:
    """Run everything on this machine.

    That is the API, both workers, and a private Redis unless PAKA_REDIS_URL names one. Ctrl-C stops
    it all; a running job writes a checkpoint first and goes on at the next start.
    """
    with reporting_errors():
        settings = load_settings(host=host, port=port, home=home, data_roots=data)
        from service import local

        local.up(settings)


@app.command()
def api(host: Host = None, port: Port = None, home: Home = None, data: Data = None) -> None:
    """Run the API only."""
    with reporting_errors():
        settings = load_settings(host=host, port=port, home=home, data_roots=data)
        from service import commands, local, preflight

        free = preflight.find_port(settings.host, settings.port)
        settings = settings.model_copy(update={"port": free})
        if note := preflight.exposure(settings.host):
            typer.echo(note, err=True)
        local.announce_first_admin(settings)
        become(commands.api(settings), settings)


@app.command()
def worker(
    queue: Annotated[Queue, typer.Option(help="What to work on.")] = Queue.ALL,
    name: Annotated[
        str | None,
        typer.Option(help="Tells workers of one queue on one host apart.", show_default="QUEUE"),
    ] = None,
    home: Home = None,
    data: Data = None,
) -> None:
    """Run a worker for jobs, embedding requests, or both."""
    with reporting_errors():
        settings = load_settings(home=home, data_roots=data)
        from service import commands, preflight

        preflight.check_worker_packages()
        if queue is not Queue.ALL:
            become(commands.worker(queue, name), settings)
        from service import local

        local.run_workers(settings, name)


@app.command()
def migrate(home: Home = None) -> None:
    """Bring the database to this version's tables.

    Harmless for one that has them, and for several processes at the same time. If requests need
    keys and there is nobody yet, an admin is made and their key printed, this once only.
    """
    with reporting_errors():
        settings = load_settings(home=home)
        from service import local
        from service.store.migrate import current_revision

        local.migrate(settings)
        typer.echo(f"the database is at revision {current_revision(settings.database)}")
        local.announce_first_admin(settings)


@app.command()
def check(part: Part, host: Host = None, port: Port = None, home: Home = None) -> None:
    """Exit with 0 if a part on this host is alive, else with 1.

    For health checks. A worker is alive if it announces itself in Redis, and if the GPUs answer
    where there are any.
    """
    with reporting_errors():
        settings = load_settings(host=host, port=port, home=home)
    from service import probe

    if part is Part.API:
        alive = probe.api_answers(settings, "/health")
    else:
        alive = probe.worker_is_here(settings, part) and probe.gpus_answer()
    typer.echo(f"{part}: {'alive' if alive else 'not alive'}")
    raise typer.Exit(0 if alive else 1)


def become(command: list[str], settings: "Settings") -> NoReturn:
    """Replace this process by a command, so that signals and exit code are the command's own."""
    from service import commands

    os.execve(command[0], command, commands.environment(settings))  # noqa: S606  wants no shell


app.add_typer(user_commands)
for command in (audit, backup, restore, gc):
    app.command()(command)


if __name__ == "__main__":
    app()
