"""What the commands share: who they talk to, options, and errors as messages and exit codes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, NamedTuple, NoReturn

import typer

from paka.cli.errors import FAILED, MISUSED, STOPPED, describe_os_error, fail
from paka.errors import ConfigError
from service.remote.completion import complete_encoder, complete_job

if TYPE_CHECKING:
    from service.client import InvalidRequest, PakaClient

UNREACHABLE = 4
_RETRIES = 2  # a second or two: somebody sits before it

JobId = Annotated[
    str, typer.Argument(metavar="JOB", help="Id of a job.", autocompletion=complete_job)
]
EncoderId = Annotated[
    str,
    typer.Argument(
        metavar="ENCODER",
        help="Id of a post-trained encoder, or name of an architecture.",
        autocompletion=complete_encoder,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print what the service answered, as JSON.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for the end, and show the progress.")]
Limit = Annotated[int, typer.Option("--limit", "-n", help="This many at most.", min=1)]
Name = Annotated[str | None, typer.Option(help="Of the job, for people.", show_default=False)]
Private = Annotated[bool, typer.Option("--private", help="Only you and admins see it.")]
Low = Annotated[bool, typer.Option("--low", help="Let it make room for others.")]


class Connection(NamedTuple):
    """What was said on the command line of the service; None: see `service.client.profile`."""

    url: str | None
    key: str | None


@contextmanager
def connected(context: typer.Context) -> Iterator["PakaClient"]:
    """A client of the service; its errors become messages and exit codes."""
    with reporting_errors():
        from service.client import PakaClient

        with PakaClient(*context.obj, retries=_RETRIES) as client:
            yield client


@contextmanager
def reporting_errors() -> Iterator[None]:
    """Turn the client's errors, its absence and Ctrl-C into a message and an exit code.

    A command that can say how to go on after Ctrl-C does so itself, by `stopped`.
    """
    try:
        from service import client
    except ImportError as error:
        fail(f"{error}; `paka remote` takes: pip install 'paka-service[client]'")
    try:
        yield
    except KeyboardInterrupt:
        stopped("stopped")
    except ConfigError as error:
        fail(str(error), MISUSED)
    except client.InvalidRequest as error:
        fail(_invalid(error), MISUSED)
    except client.Unauthorized as error:
        fail(f"{error.detail}; paka remote login keeps yours", UNREACHABLE)
    except client.ConnectionFailed as error:
        fail(str(error).replace("PakaClient(url=…)", "--url"), UNREACHABLE)
    except (client.ServiceUnavailable, client.RateLimited) as error:
        fail(error.detail, UNREACHABLE)
    except client.JobCancelled as error:
        fail(f"{error.job.id} was cancelled; paka remote resume {error.job.id}", STOPPED)
    except client.ApiError as error:
        fail(error.detail, FAILED)
    except client.PakaError as error:
        fail(str(error), FAILED)
    except BrokenPipeError:
        raise  # who reads has seen enough, as `head` has; typer leaves without a word
    except OSError as error:
        fail(describe_os_error(error), FAILED)


def stopped(message: str) -> NoReturn:
    """Say after Ctrl-C what that means, such as how to go on, and leave."""
    typer.echo(f"\n{message}", err=True)
    raise typer.Exit(STOPPED)


def _invalid(error: "InvalidRequest") -> str:
    if not error.errors:
        return error.detail
    width = max(len(field) for field in error.fields)
    lines = [f"  {field:<{width}}  {message}" for field, message in error.errors]
    return "\n".join(["the service cannot use this", *lines])
