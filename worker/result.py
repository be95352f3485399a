"""The encoder that a training has made."""

from typing import Any

from paka.files import read_json
from paka.run_folder import RunFolder
from service.store.ids import new_id
from service.store.models import Encoder, Job
from service.store.settings import Settings


def encoder_of(job: Job, settings: Settings) -> Encoder | None:
    """The row of the encoder in a job's folder; None if there is none, or the job did not train."""
    run = RunFolder(settings.job_folder(job.id))
    if job.kind != "train" or not (run.final / "meta.json").exists():
        return None
    meta = read_json(run.final / "meta.json")
    file = meta["files"]["encoder.safetensors"]
    base: dict[str, Any] = job.config["encoder"]
    weights = "" if base["weights"] == "pretrained" else f"@{base['weights']}"
    path = run.final / "encoder.safetensors"
    return Encoder(
        id=new_id("enc"),
        job_id=job.id,
        name=job.name,
        architecture=base["architecture"],
        base=base["architecture"] + weights,
        path=str(path.relative_to(settings.artifacts_folder)),
        sha256=file["sha256"],
        bytes=file["bytes"],
        steps=meta["step"],
    )
