"""From an evaluation request to a job."""

from typing import Any

from pydantic import ValidationError

from paka.evaluation.config import EvaluateConfig, short_name
from paka.settings import EncoderConfig
from service.auth.actor import Actor
from service.deps import Resources
from service.encoders.schemas import EncoderChoice
from service.encoders.service import resolve as resolve_encoder
from service.errors import invalid, invalid_field
from service.evaluate.schemas import EvaluateRequest
from service.jobs.schemas import JobView
from service.jobs.service import submit as submit_job
from service.paths import data_access, labelled_folder


def submit(
    resources: Resources, actor: Actor, request: EvaluateRequest, idempotency_key: str | None
) -> JobView:
    """Accept an evaluation job.

    Raises:
        ApiError: 422; the settings do not fit together, or name what is not there.
    """
    return submit_job(
        resources,
        actor,
        "evaluate",
        request.model_dump(mode="json", exclude_unset=True),
        lambda: configure(resources, actor, request),
        about=request,
        idempotency_key=idempotency_key,
    )


def configure(resources: Resources, actor: Actor, request: EvaluateRequest) -> dict[str, Any]:
    """Return the complete `paka.evaluation.config.EvaluateConfig` as JSON, all paths absolute.

    Raises:
        ApiError: 422.
    """
    encoders = find_encoders(resources, actor, request.encoders)
    names = request.names or call_encoders(request.encoders, encoders)
    settings = {**request.settings(), "encoders": encoders, "names": names}
    try:
        config = EvaluateConfig.model_validate(settings)
    except ValidationError as error:
        raise invalid(error) from None
    folder = labelled_folder(config.dataset, config.layout, data_access(resources, actor))
    return config.model_copy(update={"dataset": str(folder)}).model_dump(mode="json")


def find_encoders(
    resources: Resources, actor: Actor, choices: tuple[EncoderChoice, ...]
) -> tuple[EncoderConfig, ...]:
    """Return what the user chose, with absolute paths.

    Raises:
        ApiError: 422; there is no such encoder, or two are the same.
    """
    found: list[EncoderConfig] = []
    for index, choice in enumerate(choices):
        field = f"encoders.{index}"
        resolved = resolve_encoder(resources, actor, choice, field)
        encoder = EncoderConfig.model_validate(resolved.as_config())
        if encoder in found:
            message = f"is the same encoder as encoders.{found.index(encoder)}"
            raise invalid_field(field, message, "encoder_twice")
        found.append(encoder)
    return tuple(found)


def call_encoders(
    choices: tuple[EncoderChoice, ...], encoders: tuple[EncoderConfig, ...]
) -> tuple[str, ...]:
    """Return what the report calls the encoders: results by their ids, no two alike."""
    pairs = list(zip(choices, encoders, strict=True))
    short = tuple(choice.id or short_name(encoder) for choice, encoder in pairs)
    if len(set(short)) == len(short):
        return short
    return tuple(choice.id or encoder.reference for choice, encoder in pairs)
