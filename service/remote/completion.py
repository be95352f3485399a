"""What the shell offers for a half-written word: names on this machine, and ids of the service's.

Whatever goes wrong, there is nothing to offer, and nothing is said.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import typer

from paka.cli.completion import complete_architecture

if TYPE_CHECKING:
    from service.client import PakaClient

_SECONDS = 1.0
_MOST = 50

Found = list[tuple[str, str]]


def complete_job(ctx: typer.Context, incomplete: str) -> Found:
    """Ids of the newest jobs, with status and name."""
    return _ask(ctx, lambda client: _jobs(client, incomplete))


def complete_encoder(ctx: typer.Context, incomplete: str) -> Found:
    """Ids of the newest post-trained encoders, or names of architectures."""
    ids = _ask(ctx, lambda client: _encoders(client, incomplete))
    # All of the several hundred names would bury the ids.
    return ids + (complete_architecture(incomplete) if incomplete else [])


def complete_encoder_or_job(ctx: typer.Context, incomplete: str) -> Found:
    """Ids of what can be downloaded."""
    return _ask(ctx, lambda client: [*_encoders(client, incomplete), *_jobs(client, incomplete)])


def complete_dataset(ctx: typer.Context, incomplete: str) -> Found:
    """Names of uploads, and paths of folders on the server."""

    def find(client: "PakaClient") -> Iterable[tuple[str, str]]:
        for dataset in client.datasets(limit=_MOST):
            word = dataset.name if dataset.source == "upload" else dataset.path
            if word.startswith(incomplete):
                yield word, f"{dataset.images} images"

    return _ask(ctx, find)


def _jobs(client: "PakaClient", incomplete: str) -> Iterable[tuple[str, str]]:
    for job in client.jobs(limit=_MOST):
        if job.id.startswith(incomplete):
            yield job.id, " ".join(filter(None, (job.kind, job.status, job.name)))


def _encoders(client: "PakaClient", incomplete: str) -> Iterable[tuple[str, str]]:
    for encoder in client.encoders(limit=_MOST):
        if encoder.id.startswith(incomplete):
            yield encoder.id, " ".join(filter(None, (encoder.architecture, encoder.name)))


def _ask(ctx: typer.Context, find: Callable[["PakaClient"], Iterable[tuple[str, str]]]) -> Found:
    try:
        from service.client import PakaClient

        # The group's own options; it does not run while a word is completed.
        given: dict[str, Any] = ctx.parent.params if ctx.parent else {}
        with PakaClient(given.get("url"), given.get("key"), timeout=_SECONDS, retries=0) as client:
            return list(find(client))
    except Exception:  # a message in the middle of a line that is being typed helps nobody
        return []
