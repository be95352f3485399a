"""`paka-server gc`."""

from typing import Annotated

import typer

from service.console import Home, load_settings, reporting_errors


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
    home: Home = None,
) -> None:
    """Remove what is due by the retention settings, and what belongs to no job.

    Nothing goes of what is pinned, has not ended, or is used by a job that has not ended.
    """
    with reporting_errors():
        settings = load_settings(home=home)
        from service.preflight import StartError
        from service.retention.collect import collect
        from service.store.migrate import current_revision
        from service.store.session import Database
        from service.store.versions import mismatch
        from service.users.accounts import COMMAND_LINE

        if problem := mismatch(current_revision(settings.database)):
            raise StartError(problem)
        database = Database(settings.database)
        done = collect(database, settings, COMMAND_LINE, dry_run=dry_run)
        database.close()
    if as_json:
        typer.echo(done.model_dump_json(indent=2))
        return
    for one in done.removed:
        what = f"checkpoint {one.step}" if one.kind == "checkpoint" else one.kind
        typer.echo(f"{one.job_id}  {what}  {one.bytes:,} bytes: {one.reason}")
    for orphan in done.orphans:
        typer.echo(f"{orphan.path}  {orphan.bytes:,} bytes: it belongs to no job")
    verb = "would make" if dry_run else "made"
    typer.echo(f"{verb} {done.bytes:,} bytes of room; jobs keep {done.kept_bytes:,} bytes")
    if not done.policy_set:
        typer.echo("no limit is set by PAKA_RETENTION_…: only such folders go", err=True)
