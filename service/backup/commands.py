"""`paka-server backup` and `paka-server restore`."""

from pathlib import Path
from typing import Annotated

import typer

from service.console import Home, load_settings, reporting_errors


def backup(
    file: Annotated[Path, typer.Argument(help="The archive to write; one that is there goes.")],
    checkpoints: Annotated[
        bool,
        typer.Option(help="With them an unfinished job goes on where it was, else it begins anew."),
    ] = True,
    uploads: Annotated[bool, typer.Option(help="Take uploaded data sets along.")] = True,
    home: Home = None,
) -> None:
    """Write the database and all artifacts into one file, while the service runs.

    The file holds the server's secret and everybody's work: keep it where only admins can read it.
    """
    with reporting_errors():
        settings = load_settings(home=home)
        from service.backup.create import backup as make
        from service.backup.progress import bar

        with bar("backup") as progress:
            made = make(settings, file, checkpoints=checkpoints, uploads=uploads, progress=progress)
    for line in made.left_out:
        typer.echo(f"left out: {line}", err=True)
    if settings.artifacts_url is not None:
        typer.echo("not in it: what jobs made, which is in object storage", err=True)
    typer.echo(f"{file}: {made.rows['jobs']} jobs, {made.files} files, {made.bytes:,} bytes")
    if made.has_secret:
        typer.echo(f"{file} holds the server's secret: keep it safe", err=True)


def restore(
    file: Annotated[Path, typer.Argument(help="An archive that `paka-server backup` wrote.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Let it take the place of what is there.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Only check that the archive is sound.")
    ] = False,
    home: Home = None,
) -> None:
    """Bring a backup back, into an empty home and database.

    Jobs that ran when it was made go on from their last checkpoint. The database may be of another
    kind than the one that the backup was made of.
    """
    with reporting_errors():
        settings = load_settings(home=home)
        from service.backup.progress import bar
        from service.backup.read import read
        from service.backup.restore import restore as bring_back

        with bar("verify" if verify else "restore") as progress:
            if verify:
                about, sums = read(file, progress=progress)
            else:
                restored = bring_back(settings, file, replace=replace, progress=progress)
    if verify:
        typer.echo(
            f"{file} is sound: version {about.version}, {about.created:%Y-%m-%d %H:%M} UTC, "
            f"{sums.rows['jobs']} jobs, {len(sums.members)} members"
        )
        return
    typer.echo(f"restored {restored.rows['jobs']} jobs and {restored.files} files")
    if restored.requeued:
        typer.echo(f"{len(restored.requeued)} of them were running, and wait for a worker again")
