"""Operations on data sets."""

from typing import Any

from service.client.call import Call, Flow, get, read
from service.client.operations.training import Visibility
from service.client.pages import Page, Pages
from service.client.schemas import Dataset, UploadedDataset


def dataset(name: str) -> Flow[Dataset]:
    """One data set.

    Raises:
        NotFound: there is none, or you may not use it.
    """
    return read(Dataset, (yield get(f"/datasets/{name}")))


def datasets(*, limit: int | None = None) -> Pages[Dataset]:
    """The data sets that jobs may use, fetched page by page as they are asked for."""
    return Pages("/datasets", {}, Page[Dataset], limit)


def upload_archive(
    archive: Any, file_name: str, name: str, visibility: Visibility
) -> Flow[UploadedDataset]:
    """Send an archive.

    Args:
        archive: what it is read from; only once, so nothing is sent again.
    """
    call = Call(
        "POST",
        "/datasets",
        data={"name": name, "visibility": visibility},
        files=[("archive", (file_name, archive, "application/octet-stream"))],
        retries=False,
        timeout=3600.0,  # the server unpacks, and checks each image, before it answers
    )
    return read(UploadedDataset, (yield call))


def delete_dataset(name: str) -> Flow[None]:
    """Remove an upload and all its files.

    Raises:
        Conflict: a job that waits or runs needs it.
    """
    yield Call("DELETE", f"/datasets/{name}")
