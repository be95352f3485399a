"""The body of `POST /train`."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from paka.config import TrainFields
from paka.estimate import Basis
from paka.evaluation.config import TrainEvaluation
from paka.presets import DEFAULT_PRESET, PRESETS
from service.encoders.schemas import ENCODER_EXAMPLE, EncoderChoice
from service.jobs.schemas import JOB_FIELDS, JobName, JobPriority, JobSlots, JobVisibility


class Fit(BaseModel):
    """A worker on which a job could run if nothing else did."""

    worker: str
    slots: list[str] = Field(description="Its slots with enough memory.")


class DryRun(BaseModel):
    """What a training would need, and when it would start."""

    memory_bytes: int = Field(description="Memory for each of its processes.")
    step_seconds: float
    total_steps: int
    seconds: float = Field(description="Time of all steps.")
    start_in_seconds: float | None = Field(
        description="Until it would start, if all that runs and waits takes as long as expected "
        "(an hour, if nobody knows); null if that cannot be foreseen."
    )
    basis: Basis = Field(
        description="`measured`: from runs of this architecture on this kind of device; `scaled`: "
        "from runs of others on it; `model`: only reckoned, within a factor of two or so."
    )
    device: str = Field(description="The kind of device that this holds for.")
    fits: list[Fit]
    config: dict[str, Any] = Field(description="All settings, presets resolved, paths absolute.")


class TrainRequest(TrainFields):
    """A preset, and the fields of yours that differ from it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"preset": "tiny", "encoder": "vit_starter_patch16_224", "dataset": "photos"},
                {
                    "preset": "light",
                    "name": "our photographs, twice as long",
                    "encoder": "vit_small_patch14_reg4_dinov2.lvd142m",
                    "dataset": "/data/photos",
                    "optim": {"epochs": 50},
                    "runtime": {"processes": 2},
                },
                {"encoder": ENCODER_EXAMPLE["id"], "dataset": "/data/photos"},
                {
                    "dataset": "/data/photos",
                    "evaluate": {"dataset": "/data/camvid", "protocols": ["in_context", "knn"]},
                },
            ]
        }
    )

    encoder: EncoderChoice = Field(
        default_factory=lambda: EncoderChoice.model_validate({}),
        description="The encoder to post-train. Default: the preset's.",
    )
    dataset: str = Field(
        min_length=1,
        description="Data set in the data roots, absolute or relative to one of them: a folder of "
        "images, searched with its sub-folders; a .tar, .zip, or a folder of such shards; or a "
        "folder that Hugging Face's `save_to_disk` has made. Labels are not used.",
        examples=["/data/photos"],
    )
    evaluate: TrainEvaluation | None = Field(
        None,
        description="Compare the encoder before and after on a labelled data set in the data "
        "roots, once trained; the report is at `/jobs/{id}/report`.",
    )
    preset: str = Field(
        DEFAULT_PRESET,
        description="What holds for all fields that you leave out.",
        json_schema_extra={"enum": [*sorted(PRESETS)]},
    )
    name: JobName | None = Field(None, description="For people; need not be unique.")
    visibility: JobVisibility = "lab"
    priority: JobPriority = "normal"
    slots: JobSlots | None = None
    dry_run: StrictBool = Field(
        False, description="Only say what it would need and when it would start; nothing is kept."
    )

    def overrides(self) -> dict[str, Any]:
        """The settings that the user gave."""
        return self.model_dump(
            mode="json", exclude_unset=True, exclude={"preset", "dry_run", *JOB_FIELDS}
        )
