"""The body of `POST /evaluate`."""

from typing import Any

from pydantic import ConfigDict, Field

from paka.evaluation.config import EvaluationFields, EvaluationRuntime
from service.encoders.schemas import ENCODER_EXAMPLE, EncoderChoice
from service.jobs.schemas import JOB_FIELDS, JobName, JobPriority, JobSlots, JobVisibility


class EvaluateRequest(EvaluationFields):
    """Which encoders, on which labelled images, by which protocols."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "encoders": ["vit_starter_patch16_224", ENCODER_EXAMPLE["id"]],
                    "dataset": "/data/camvid",
                },
                {
                    "name": "our photographs, on VOC",
                    "encoders": [ENCODER_EXAMPLE["base"], {"id": ENCODER_EXAMPLE["id"]}],
                    "names": ["before", "after"],
                    "dataset": "/data/VOC2012",
                    "layout": "voc",
                    "protocols": ["in_context", "knn"],
                    "size": 518,
                    "in_context": {"memory": 1_000_000},
                },
            ]
        }
    )

    encoders: tuple[EncoderChoice, ...] = Field(
        min_length=1,
        max_length=16,
        description="The encoders to compare; the first is the base that the others are held "
        "against.",
    )
    names: tuple[JobName, ...] | None = Field(
        None, description="What the report calls each encoder. Default: its id, or its reference."
    )
    dataset: str = Field(
        min_length=1,
        description="Folder of labelled images in the data roots, absolute or relative to one of "
        "them, in the layout of VOC 2012, ADE20K, COCO-Stuff or Cityscapes, or plainly in "
        "images/{train,val} and masks/{train,val}.",
        examples=["/data/camvid"],
    )
    runtime: EvaluationRuntime = Field(default_factory=EvaluationRuntime.model_construct)
    name: JobName | None = Field(None, description="For people; need not be unique.")
    visibility: JobVisibility = "lab"
    priority: JobPriority = "normal"
    slots: JobSlots | None = None

    def settings(self) -> dict[str, Any]:
        """The settings that the user gave, but for the encoders and what they are called."""
        return self.model_dump(
            mode="json", exclude_unset=True, exclude={"encoders", "names", *JOB_FIELDS}
        )
