"""HTTP for encoders."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from service import artifacts
from service.auth.deps import ViewerDep
from service.deps import ResourcesDep
from service.encoders import service
from service.encoders.schemas import ENCODER_EXAMPLE, EncoderKind, EncoderView
from service.openapi import binary, problems
from service.pagination import NO_NULL, Limit, Page

router = APIRouter(prefix="/encoders", tags=["encoders"])

EncoderId = Annotated[
    str,
    Path(
        max_length=200,
        description="Id of a post-trained encoder, or the name of a base architecture.",
        examples=[ENCODER_EXAMPLE["id"], "vit_small_patch14_reg4_dinov2.lvd142m"],
    ),
]


@router.get("", summary="List encoders", responses=problems())
def list_encoders(
    resources: ResourcesDep,
    actor: ViewerDep,
    kind: Annotated[
        EncoderKind, Query(description="Those that jobs made, or the base architectures.")
    ] = "post-trained",
    search: Annotated[
        str,
        Query(
            max_length=200,
            pattern=NO_NULL,
            description="Only encoders in whose id, name or base each of these words is found.",
        ),
    ] = "",
    limit: Limit = 20,
    after: Annotated[
        str | None,
        Query(pattern=r"^[A-Za-z0-9_.]{1,200}$", description="`next` of the page before."),
    ] = None,
) -> Page[EncoderView]:
    """Post-trained encoders, newest first; with `kind=base` every architecture that can be
    post-trained and embedded with, by name.
    """
    return service.list_page(resources, actor, kind, search, limit, after)


@router.get("/{encoder_id}", summary="Look at an encoder", responses=problems(404))
def get_encoder(resources: ResourcesDep, actor: ViewerDep, encoder_id: EncoderId) -> EncoderView:
    """Patch size, dimension, what it was made from, and the sha256 of its weights."""
    return service.get(resources, actor, encoder_id)


@router.get(
    "/{encoder_id}/weights",
    summary="Download an encoder",
    response_class=Response,
    responses={
        **binary("Weights that timm loads.", artifacts.BINARY),
        304: {"description": "`If-None-Match` names these weights: you have them already."},
        **problems(404, 503),
    },
)
def get_weights(
    request: Request, resources: ResourcesDep, actor: ViewerDep, encoder_id: EncoderId
) -> Response:
    """The weights of a post-trained encoder as safetensors, under timm's own names:
    `timm.create_model(architecture, checkpoint_path="….safetensors")`. `ETag` is their sha256.
    """
    with resources.database.read() as session:
        encoder = service.find(session, actor, encoder_id)
    file = artifacts.artifact(resources.settings, encoder.path)
    return artifacts.download(request, file, f"{encoder.id}.safetensors", encoder.sha256)
