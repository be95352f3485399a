"""What the commands of `paka-server` share: options, settings, and errors in one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from service.store.settings import Settings

Host = Annotated[
    str | None,
    typer.Option(help="Address to listen on [PAKA_HOST, 127.0.0.1].", show_default=False),
]
Port = Annotated[
    int | None,
    typer.Option(
        help="Port to listen on, 0 for any free one [PAKA_PORT, 8000].",
        min=0,
        max=65535,
        show_default=False,
    ),
]
Home = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the database, Redis files and artifacts [PAKA_HOME, ./var].",
        show_default=False,
    ),
]
Data = Annotated[
    list[Path] | None,
    typer.Option(
        help="Folder from which jobs may read images and weights; may be given several times "
        "[PAKA_DATA_ROOTS, HOME/data].",
        show_default=False,
    ),
]


def load_settings(**options: Any) -> "Settings":
    """Return the settings from the environment, with the options that were given on top."""
    from service.store.settings import Settings

    return Settings(**{name: value for name, value in options.items() if value is not None})


@contextmanager
def reporting_errors() -> Iterator[None]:
    """Turn an error that a user can act upon into one line and exit code 1."""
    from pydantic import ValidationError
    from pydantic_settings import SettingsError
    from sqlalchemy.exc import DBAPIError

    from service.backup import BackupError
    from service.preflight import StartError
    from service.processes import ChildDiedError

    try:
        yield
    except ValidationError as error:
        wrong = [
            f"{'.'.join(map(str, e['loc']))}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        ]
        fail(f"settings that cannot work: {'; '.join(wrong)}")
    except (StartError, ChildDiedError, BackupError, SettingsError) as error:
        fail(str(error))
    except DBAPIError as error:
        fail(f"the database cannot be used: {str(error.orig).strip()}")


def fail(message: str) -> NoReturn:
    """Print an error and exit with code 1."""
    from service.store.redact import redact

    typer.secho(f"error: {redact(message)}", err=True, fg=typer.colors.RED)
    raise typer.Exit(1)
