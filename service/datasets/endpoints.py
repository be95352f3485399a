"""HTTP for data sets."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from service.auth.deps import MemberDep, ViewerDep
from service.datasets.schemas import DatasetView, UploadedDataset, UploadForm
from service.deps import ResourcesDep
from service.openapi import problems
from service.pagination import Limit, Page

router = APIRouter(prefix="/datasets", tags=["datasets"])

Name = Annotated[
    str,
    Path(
        max_length=255, description="Name of the data set's folder or archive.", examples=["photos"]
    ),
]
# FastAPI would put the archive into a temporary file of its own.
REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "content": {"multipart/form-data": {"schema": UploadForm.model_json_schema()}},
}


@router.get("", summary="List data sets", responses=problems())
def list_datasets(
    resources: ResourcesDep,
    actor: ViewerDep,
    limit: Limit = 20,
    after: Annotated[
        str | None, Query(max_length=4096, description="`next` of the page before.")
    ] = None,
) -> Page[DatasetView]:
    """The data sets that the data roots hold (folders of images or of shards, .tar, .zip, and what
    Hugging Face's `save_to_disk` has made), roots with images of their own, and uploads that you
    may use, by path. Images are counted up to a point (`complete`), at most a minute ago.
    """
    from service.datasets import service

    return service.list_page(resources, actor, limit, after)


@router.post(
    "",
    status_code=201,
    summary="Upload a data set",
    openapi_extra={"requestBody": REQUEST_BODY},
    responses=problems(400, 403, 409, 413, 415, 507),
)
async def upload_dataset(
    request: Request, response: Response, resources: ResourcesDep, actor: MemberDep
) -> UploadedDataset:
    """Unpack an archive of images (`curl -F name=photos -F archive=@photos.tar.gz`) into a folder
    that jobs can name as `dataset`. Folders stay as they are, so labelled data sets with masks as
    PNG and lists as .txt, .csv or .json can be uploaded too. Images that cannot be read are left
    out and listed, other files left out and counted; links, devices and paths that lead elsewhere
    are refused with the whole archive.
    """
    from service.datasets import service

    made = await service.upload(resources, actor, request)
    response.headers["Location"] = f"/datasets/{made.name}"
    return made


@router.get("/{name}", summary="Look at a data set", responses=problems(404))
def get_dataset(resources: ResourcesDep, actor: ViewerDep, name: Name) -> DatasetView:
    """Where it is, how many images it holds, and whose it is."""
    from service.datasets import service

    return service.get(resources, actor, name)


@router.delete(
    "/{name}", status_code=204, summary="Delete a data set", responses=problems(403, 404, 409)
)
def delete_dataset(resources: ResourcesDep, actor: MemberDep, name: Name) -> None:
    """Remove an upload and all its files, unless a job that waits or runs needs it."""
    from service.datasets import service

    service.delete(resources, actor, name)
