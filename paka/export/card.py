"""The model card of an encoder: README.md, written from the run that made it.

Whatever is said was read from the run's files or measured by the export. No path of the lab's
machines is named, and no image is shown but those that the user gives for it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import timm
from huggingface_hub import ModelCardData
from pydantic import Field

from paka.config import EncoderConfig, Settings
from paka.encoder import DenseEncoder
from paka.export import card_text as text
from paka.export import pictures
from paka.export.checks import Check
from paka.export.run_facts import RunFacts, read_run

FILE = "README.md"
_TAGS = (
    "paka",
    "patch-kernel-alignment",
    "dense-features",
    "self-supervised",
    "vision-transformer",
)


class About(Settings):
    """What a model card says beside what is known of the encoder itself."""

    title: str = Field("encoder", min_length=1, description="The card's heading.")
    repository: str | None = Field(None, description="Where it goes on the hub, `user/name`.")
    license: str | None = Field(
        None,
        pattern=r"^[a-z0-9][a-z0-9.\-]*$",
        description="The hub's short name of a licence, such as `apache-2.0`.",
    )
    run: Path | None = Field(
        None, description="Folder of the run, or with the files of a job, see `run_facts`."
    )
    step: int | None = Field(
        None, ge=0, description="Step of the run from which the encoder is; None: its last."
    )
    images: tuple[Path, ...] = Field(
        (), description="Images whose features are shown; they become part of the card."
    )


def write(encoder: DenseEncoder, folder: Path, about: About, checks: Sequence[Check]) -> None:
    """Write README.md and its pictures beside the model's files.

    Args:
        checks: of the files in the folder.

    Raises:
        ExportError: the run's files cannot be used.
        DataError: an image cannot be read.
    """
    run = RunFacts() if about.run is None else read_run(about.run, about.step)
    base = None if run.config is None else run.config.encoder
    drawn = pictures.draw_loss(run.metrics, folder)
    drawn += pictures.draw_features(encoder, base, about.images, folder)
    parts = [f"# {about.title}", text.introduction(encoder, run)]
    parts += [f"![{picture.says}]({picture.file})" for picture in drawn]
    parts += [
        text.loading(encoder, about.repository, folder),
        text.data(run),
        text.training(run),
        text.evaluation(run),
        text.settings(run),
        text.checked(checks),
        text.licence(about.license, _known(base, "license")),
    ]
    body = "\n\n".join(part for part in parts if part)
    (folder / FILE).write_text(f"---\n{_front_matter(base, about)}\n---\n\n{body}\n")


def _front_matter(base: EncoderConfig | None, about: About) -> str:
    """What the hub reads of a card."""
    data = ModelCardData(
        library_name="timm",
        pipeline_tag="image-feature-extraction",
        license=about.license,
        base_model=_base_model(base),
        base_model_relation=None if _base_model(base) is None else "finetune",
        tags=list(_TAGS),
    )
    return str(data.to_yaml())


def _base_model(base: EncoderConfig | None) -> str | None:
    """Where on the hub the weights are that a training began with; None if they are not there."""
    place = _known(base, "hf_hub_id")
    if place is None or base is None:
        return None
    return f"{place}{base.architecture}" if place.endswith("/") else place


def _known(base: EncoderConfig | None, name: str) -> Any:
    """What timm knows of the published weights that a training began with; None if nothing."""
    if base is None or base.weights != "pretrained":
        return None
    return getattr(timm.get_pretrained_cfg(base.architecture), name, None)
