"""`paka-server audit`: the audit log on the server itself."""

from typing import Annotated

import typer

from service.console import Home, load_settings, reporting_errors


def audit(
    tail: Annotated[int, typer.Option(min=1, help="How many entries, the newest ones.")] = 20,
    home: Home = None,
) -> None:
    """Print who changed what, when and from where, the newest last."""
    with reporting_errors():
        settings = load_settings(home=home)
        from service.audit.log import audit_page
        from service.users.accounts import writing

        with writing(settings) as session:
            entries = audit_page(session, tail)
    for entry in reversed(entries):
        who = entry.user_name or "somebody"
        where = f" from {entry.address}" if entry.address else ""
        about = " ".join(f"{name}={value}" for name, value in (entry.data or {}).items())
        line = f"{entry.time:%Y-%m-%d %H:%M:%S} UTC  {who}{where}  {entry.action}"
        typer.echo("  ".join(part for part in (line, entry.target, about) if part))
