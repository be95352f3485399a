"""From a training request to a job."""

from typing import Any

from pydantic import ValidationError

from paka import presets
from paka.config import TrainConfig
from paka.errors import ConfigError
from service.auth.actor import Actor
from service.deps import Resources
from service.encoders.service import resolve as resolve_encoder
from service.errors import invalid, invalid_field
from service.jobs.schemas import JobView
from service.jobs.service import submit as submit_job
from service.paths import DataAccess, data_access, image_data, labelled_folder
from service.train.schemas import TrainRequest


def submit(
    resources: Resources, actor: Actor, request: TrainRequest, idempotency_key: str | None
) -> JobView:
    """Accept a training job.

    Raises:
        ApiError: 422; the settings do not fit together, or name what is not there.
    """
    return submit_job(
        resources,
        actor,
        "train",
        request.model_dump(mode="json", exclude_unset=True),
        lambda: configure(resources, actor, request),
        about=request,
        idempotency_key=idempotency_key,
    )


def configure(resources: Resources, actor: Actor, request: TrainRequest) -> dict[str, Any]:
    """Return the complete `paka.config.TrainConfig` as JSON, all paths absolute.

    Raises:
        ApiError: 422.
    """
    overrides = request.overrides()
    if "encoder" in overrides:
        overrides["encoder"] = resolve_encoder(resources, actor, request.encoder).as_config()
    try:
        config = presets.resolve(overrides, request.preset)
    except ConfigError as error:
        raise invalid_field("preset", str(error)) from None
    except ValidationError as error:
        raise invalid(error) from None
    return _with_absolute_paths(config, data_access(resources, actor)).model_dump(mode="json")


def _with_absolute_paths(config: TrainConfig, access: DataAccess) -> TrainConfig:
    folders: dict[str, Any] = {"dataset": str(image_data(config.dataset, access))}
    if asked := config.evaluate:
        folder = labelled_folder(asked.dataset, asked.layout, access, "evaluate.dataset")
        folders["evaluate"] = asked.model_copy(update={"dataset": str(folder)})
    return config.model_copy(update=folders)
