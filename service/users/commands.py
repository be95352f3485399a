"""`paka-server user`: who may use the service, kept on the server itself, running or not."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from service.console import Home, fail, load_settings, reporting_errors

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from service.store.models import User
    from service.store.settings import Settings

user = typer.Typer(
    name="user", help="Add, list and revoke users, and make keys for them.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="Name of the user.")]


class Role(StrEnum):
    """What a user may do."""

    VIEWER = "viewer"
    MEMBER = "member"
    ADMIN = "admin"


@user.command()
def add(
    name: Name,
    role: Annotated[Role, typer.Option(help="What they may do.")] = Role.MEMBER,
    home: Home = None,
) -> None:
    """Add a user, or take a revoked one back, and print a key for them, this once only."""
    with _changing(home) as (session, settings):
        from service.store.users import USER_NAME
        from service.users import accounts

        if not USER_NAME.fullmatch(name):
            fail(f"{name!r} is no user name: lower-case letters, digits and ._@-, 100 at most")
        token = accounts.add_key(session, settings, accounts.add_user(session, name, role.value))
    typer.echo(f"{name} ({role}) may use the service by this key, shown this once only:", err=True)
    typer.echo(token)


@user.command()
def key(name: Name, home: Home = None) -> None:
    """Print a new key for a user, this once only; their other keys still work."""
    with _changing(home) as (session, settings):
        from service.users import accounts

        token = accounts.add_key(session, settings, _find(session, name))
    typer.echo(token)


@user.command()
def revoke(name: Name, home: Home = None) -> None:
    """End a user's access; what they made stays."""
    with _changing(home) as (session, _):
        from service.users import accounts

        accounts.revoke_user(session, _find(session, name))
    typer.echo(f"{name} is revoked: their keys no longer work within seconds")


@user.command("list")
def list_users(home: Home = None) -> None:
    """List all users, with how many keys of theirs work and when one was used last."""
    with _changing(home) as (session, _):
        from service.store import users

        typer.echo(f"{'name':24}  {'role':8}  {'keys':>4}  last used")
        for row in users.all_users(session):
            working = users.working_keys(session, row)
            used = max((k.last_used_at for k in working if k.last_used_at), default=None)
            shown = f"{used:%Y-%m-%d %H:%M} UTC" if used else "never"
            state = "revoked" if row.revoked_at else shown
            typer.echo(f"{row.name:24}  {row.role:8}  {len(working):4}  {state}")


@contextmanager
def _changing(home: object) -> "Iterator[tuple[Session, Settings]]":
    """A write session; what cannot be done becomes one line and exit code 1."""
    with reporting_errors():
        settings = load_settings(home=home)
        from sqlalchemy.exc import OperationalError

        from service.store.users import UserConflict
        from service.users import accounts

        try:
            with accounts.writing(settings) as session:
                yield session, settings
        except UserConflict as error:
            fail(str(error))
        except OperationalError as error:
            fail(f"the database cannot be used: {str(error.orig).strip()}")


def _find(session: "Session", name: str) -> "User":
    from service.store import users

    return users.user_by_name(session, name) or _unknown(name)


def _unknown(name: str) -> NoReturn:
    fail(f"there is no user {name!r}: see `paka-server user list`")
