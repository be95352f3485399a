"""The report of a job that evaluates encoders: where it is, and in which forms it is answered."""

from collections.abc import Mapping
from typing import Any, Literal

from fastapi.responses import Response

from paka.evaluation.report_schema import FILES
from service import accept
from service.artifacts import answer, look
from service.errors import ApiError
from service.store.models import Job
from service.store.settings import Settings
from service.store.status import TERMINAL

ReportFormat = Literal["json", "markdown", "html"]

MEDIA_TYPES: dict[ReportFormat, str] = {
    "json": "application/json",
    "markdown": "text/markdown",
    "html": "text/html",
}
REPORT_EXAMPLE: dict[str, Any] = {
    "dataset": "camvid",
    "layout": "plain",
    "size": 224,
    "train_images": 367,
    "val_images": 101,
    "classes": ["sky", "building", "road"],
    "settings": {"dataset": "/data/camvid", "protocols": ["in_context"], "seeds": [0]},
    "encoders": [
        {
            "name": "vit_starter_patch16_224",
            "reference": "vit_starter_patch16_224",
            "weights_sha256": "5f0f0b3a" * 8,
        },
        {
            "name": "enc_01k9zqa7m2r5t8w1y4b6d9f0hk",
            "reference": "vit_tiny_patch16_224@/var/lib/paka/artifacts/…/encoder.safetensors",
            "weights_sha256": "9c1e77d2" * 8,
        },
    ],
    "results": [
        {
            "encoder": "enc_01k9zqa7m2r5t8w1y4b6d9f0hk",
            "protocol": "in_context",
            "metric": "miou",
            "unit": "share",
            "value": 0.41,
            "low": 0.39,
            "high": 0.43,
            "per_seed": [0.41],
            "difference": {"value": 0.02, "low": 0.01, "high": 0.03},
            "per_class": [0.8, 0.03, 0.4],
        },
    ],
    "seconds": [{"encoder": "vit_starter_patch16_224", "part": "in_context", "seconds": 3.2}],
    "versions": {"paka-service": "0.1.0"},
    "created_at": "2026-11-23T10:12:00Z",
}
# The page shows pictures of the user's own data on the API's origin: it may draw what is in it,
# and load, run or send nothing.
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
}


def report_folder(job: Job) -> str | None:
    """The folder of a job's report below the artifacts folder; None if the job makes no report."""
    if job.kind == "evaluate":
        return f"jobs/{job.id}"
    if job.kind == "train" and job.config.get("evaluate"):
        return f"jobs/{job.id}/evaluation"
    return None


def choose_format(wanted: ReportFormat | None, accepted: str) -> ReportFormat:
    """The format that is asked for by name, else by an `Accept` header.

    Raises:
        ApiError: 406; the header accepts none of the formats.
    """
    if wanted:
        return wanted
    best = accept.choose(accepted, tuple(MEDIA_TYPES.values()))
    return next(name for name, media_type in MEDIA_TYPES.items() if media_type == best)


def respond(settings: Settings, job: Job, form: ReportFormat) -> Response:
    """Answer with a job's report.

    Raises:
        ApiError: 404; `report_not_ready` if it may still come, else `report_not_found`.
    """
    folder = report_folder(job)
    if folder is None:
        detail = f"{job.id} makes no report: only jobs that evaluate do"
        raise ApiError(404, "report_not_found", detail)
    file = look(settings, f"{folder}/{FILES[form]}")
    if file is None:
        raise _missing(job)
    return answer(file, MEDIA_TYPES[form], f"{job.id}-{file.path.name}", _headers(form), "inline")


def _missing(job: Job) -> ApiError:
    if job.status in TERMINAL:
        return ApiError(404, "report_not_found", f"{job.id} is {job.status} and left no report")
    detail = f"{job.id} is {job.status}; its report is there when it has succeeded"
    return ApiError(404, "report_not_ready", detail)


def _headers(form: ReportFormat) -> Mapping[str, str]:
    shared = {"Vary": "Accept"}
    return shared | _PAGE_HEADERS if form == "html" else shared
