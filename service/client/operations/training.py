"""Operations that make jobs."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, Literal

from service.client.call import Flow, given, id_of, read, submit
from service.client.schemas import Dataset, DryRun, Encoder, Job

Named = str | PurePath
Visibility = Literal["lab", "private"]
Priority = Literal["low", "normal", "high"]


def train(
    dataset: Named | Dataset,
    encoder: str | Mapping[str, str] | Encoder | None = None,
    preset: str | None = None,
    *,
    evaluate: Named | Dataset | Mapping[str, Any] | None = None,
    name: str | None = None,
    visibility: Visibility | None = None,
    priority: Priority | None = None,
    slots: int | None = None,
    idempotency_key: str | None = None,
    **settings: Any,
) -> Flow[Job]:
    """Queue a post-training.

    Args:
        dataset: name or path on the server of a folder of images; see `datasets` and `upload`.
        encoder: `name`, `name@weights`, or a post-trained encoder; default: the preset's.
        preset: `light` (default), `paper` or `tiny`: what holds for all that you leave out.
        evaluate: labelled data set on which to compare before and after; or settings of that.
        visibility: `private`: only you and admins see it.
        priority: `low` makes room for others.
        slots: GPUs that it holds.
        idempotency_key: sent again with the same request, it gives the same job; made by default,
            so that retries are safe.
        settings: any other, such as `optim={"max_steps": 100}`.

    Raises:
        InvalidRequest: naming each bad field.
    """
    if "dry_run" in settings:
        raise TypeError("to learn what a training would need, call dry_run(…) instead of train(…)")
    fields = given(name=name, visibility=visibility, priority=priority, slots=slots)
    body = _training(dataset, encoder, preset, evaluate, {**settings, **fields})
    return read(Job, (yield submit("/train", body, idempotency_key)))


def dry_run(
    dataset: Named | Dataset,
    encoder: str | Mapping[str, str] | Encoder | None = None,
    preset: str | None = None,
    *,
    evaluate: Named | Dataset | Mapping[str, Any] | None = None,
    **settings: Any,
) -> Flow[DryRun]:
    """Say what a training would need and when it would start; takes what `train` takes."""
    body = _training(dataset, encoder, preset, evaluate, settings)
    return read(DryRun, (yield submit("/train", {**body, "dry_run": True}, None)))


def evaluate(
    encoders: Sequence[str | Mapping[str, str] | Encoder],
    dataset: Named | Dataset,
    *,
    names: Sequence[str] | None = None,
    protocols: Sequence[str] | None = None,
    size: int | None = None,
    name: str | None = None,
    visibility: Visibility | None = None,
    priority: Priority | None = None,
    slots: int | None = None,
    idempotency_key: str | None = None,
    **settings: Any,
) -> Flow[Job]:
    """Queue a comparison of encoders on labelled images; `report` gives what came out.

    Args:
        encoders: the first is the base that the others are held against.
        dataset: name or path on the server of a labelled data set.
        names: what the report calls each encoder.
        protocols: `in_context`, `linear`, `overclustering`, `knn`, `probes`; default: all.
        size: side of the images in pixels.
        settings: any other, such as `in_context={"k": 50}`.

    Raises:
        InvalidRequest: naming each bad field.
    """
    body = {"encoders": [_encoder(one) for one in encoders], "dataset": _named(dataset), **settings}
    body |= given(names=names, protocols=protocols, size=size)
    body |= given(name=name, visibility=visibility, priority=priority, slots=slots)
    return read(Job, (yield submit("/evaluate", body, idempotency_key)))


def embed_dataset(
    dataset: Named | Dataset,
    encoder: str | Encoder | None = None,
    *,
    size: int | tuple[int, int] | None = None,
    name: str | None = None,
    visibility: Visibility | None = None,
    priority: Priority | None = None,
    slots: int | None = None,
    idempotency_key: str | None = None,
    **options: Any,
) -> Flow[Job]:
    """Queue the embedding of a whole folder on the server; `download_features` fetches the result.

    Args:
        dataset: name or path on the server of a folder of images.
        size: side of the encoder's input in pixels, or (height, width).
        options: any other of `POST /embed`, such as `layers=[-1]` or `format="zarr"`.

    Raises:
        InvalidRequest: naming each bad field.
    """
    body = {"dataset": _named(dataset), **options}
    body |= given(encoder=None if encoder is None else id_of(encoder), size=size)
    body |= given(name=name, visibility=visibility, priority=priority, slots=slots)
    return read(Job, (yield submit("/embed", body, idempotency_key)))


def _training(
    dataset: Named | Dataset,
    encoder: str | Mapping[str, str] | Encoder | None,
    preset: str | None,
    evaluate: Named | Dataset | Mapping[str, Any] | None,
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """The body of `POST /train`."""
    if evaluate is not None and not isinstance(evaluate, Mapping):
        evaluate = {"dataset": _named(evaluate)}
    chosen = None if encoder is None else _encoder(encoder)
    named = given(encoder=chosen, preset=preset, evaluate=evaluate)
    return {**settings, "dataset": _named(dataset), **named}


def _named(dataset: Named | Dataset) -> str:
    return dataset.path if isinstance(dataset, Dataset) else str(dataset)


def _encoder(encoder: str | Mapping[str, str] | Encoder) -> str | dict[str, str]:
    return dict(encoder) if isinstance(encoder, Mapping) else id_of(encoder)
