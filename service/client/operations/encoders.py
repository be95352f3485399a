"""Operations on encoders."""

from typing import Literal, NamedTuple

from paka.errors import EncoderError
from service.client.call import Call, Flow, get, id_of, read
from service.client.pages import Page, Pages
from service.client.schemas import Checkpoint, Encoder


def encoder(encoder: Encoder | str) -> Flow[Encoder]:
    """One encoder, by its id or by the name of an architecture.

    Raises:
        NotFound: there is none, or you may not see it.
    """
    return read(Encoder, (yield get(f"/encoders/{id_of(encoder)}")))


def encoders(
    *,
    kind: Literal["post-trained", "base"] = "post-trained",
    search: str = "",
    limit: int | None = None,
) -> Pages[Encoder]:
    """Encoders, fetched page by page as they are asked for.

    Args:
        kind: those that jobs made, newest first; or the architectures that can be post-trained.
        search: only those in whose id, name or base each of these words is found.
        limit: this many at most; None: all.
    """
    return Pages("/encoders", {"kind": kind, "search": search}, Page[Encoder], limit)


class Weights(NamedTuple):
    """An encoder's file on the server; sizes in bytes."""

    name: str
    call: Call
    sha256: str | None
    size: int


def weights(source: Encoder | Checkpoint | str) -> Flow[Weights]:
    """Where the weights of an encoder, or of a job's checkpoint, are to be had.

    Raises:
        NotFound: there is no such encoder.
        EncoderError: it is a base architecture, whose weights timm has.
    """
    if isinstance(source, Checkpoint):
        file = source.files["encoder.safetensors"]
        return Weights(f"step {source.step}", get(source.encoder), file.sha256, file.bytes)
    found = source if isinstance(source, Encoder) else (yield from encoder(source))
    if found.sha256 is None:
        raise EncoderError(
            f"{found.id} is a base architecture, whose weights the service does not have: "
            f"timm.create_model({found.id!r}, pretrained=True), or load_encoder({found.id!r})"
        )
    call = get(f"/encoders/{found.id}/weights")
    return Weights(found.id, call, found.sha256, found.bytes or 0)
