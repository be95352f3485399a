"""Data sets as the API shows them, and the form that uploads one."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.store.models import Visibility

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
DatasetName = Annotated[str, Field(pattern=NAME_PATTERN)]

EXAMPLE: dict[str, Any] = {
    "name": "photos",
    "path": "/srv/paka/uploads/photos",
    "source": "upload",
    "images": 1200,
    "complete": True,
    "bytes": 83886080,
    "user": "ann",
    "visibility": "lab",
    "created_at": "2026-11-24T10:00:00Z",
}


class UploadFields(BaseModel):
    """The form's texts."""

    model_config = ConfigDict(extra="forbid")

    name: DatasetName = Field(
        description="Name of the data set: letters, digits, `.`, `_` and `-`.", examples=["photos"]
    )
    visibility: Visibility = Field(
        "lab", description="Who may use it: everybody (`lab`), or you and admins (`private`)."
    )


class UploadForm(UploadFields):
    """The form, as the reference shows it."""

    archive: str = Field(
        description="A .tar, .tar.gz or .zip of images.",
        json_schema_extra={"format": "binary"},
    )


class DatasetView(BaseModel):
    """One data set: a folder or an archive in a data root."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    name: str
    path: str = Field(description="What to give as `dataset` to a job.")
    source: Literal["upload", "root"] = Field(
        description="Whether it was uploaded, or put into a data root on the server."
    )
    images: int
    complete: bool = Field(description="Whether all images were counted; else there are more.")
    bytes: int | None = Field(description="Size of all its files; only of uploads.")
    user: str | None = Field(description="Who uploaded it.")
    visibility: Visibility | None = Field(description="Who may use it; only of uploads.")
    created_at: datetime | None = Field(description="When it was uploaded.")


class UnreadableImage(BaseModel):
    """A file that looks like an image by its name, and is none."""

    file: str = Field(description="Its path in the archive.")
    reason: str


class UploadedDataset(DatasetView):
    """A new data set, and what of the archive is not in it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{**EXAMPLE, "unreadable": [], "unreadable_count": 0, "ignored": 2}]
        }
    )

    unreadable: list[UnreadableImage] = Field(
        description="Images that cannot be read and were left out; the first 100."
    )
    unreadable_count: int = Field(description="How many there are in all.")
    ignored: int = Field(description="Other files that a data set has no use for.")
