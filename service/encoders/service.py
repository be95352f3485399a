"""Finding encoders, and turning a user's choice into an architecture and weights."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from paka.architectures import Architecture, architectures, find_architecture
from service.artifacts import look
from service.auth.actor import Actor, may_see
from service.deps import Resources
from service.encoders.schemas import ENCODER_ID, EncoderChoice, EncoderKind, EncoderView
from service.errors import ApiError, invalid_field, not_found
from service.pagination import Page, paginate
from service.paths import data_access, weights_file
from service.store import queries
from service.store.bucket import REFERENCE
from service.store.models import Encoder, Job


class ResolvedEncoder(NamedTuple):
    """What a worker needs to load an encoder; `weights` a path, `pretrained`, `random`, or a
    reference to what a job has in object storage.
    """

    architecture: Architecture
    weights: str

    def as_config(self) -> dict[str, Any]:
        """As `paka.config.EncoderConfig` in JSON."""
        return {"architecture": self.architecture.name, "weights": self.weights}


def resolve(
    resources: Resources, actor: Actor, choice: EncoderChoice, field: str = "encoder"
) -> ResolvedEncoder:
    """Find what the user chose.

    Raises:
        ApiError: 422; no such encoder that they may see, or weights outside the data roots.
    """
    if choice.id is not None:
        return _resolve_result(resources, actor, choice.id, field)
    weights = choice.weights
    if weights not in ("pretrained", "random"):
        weights = str(weights_file(weights, data_access(resources, actor), f"{field}.weights"))
    return ResolvedEncoder(choice.facts, weights)


def _resolve_result(
    resources: Resources, actor: Actor, encoder_id: str, field: str
) -> ResolvedEncoder:
    with resources.database.read() as session:
        encoder = _visible(session, actor, encoder_id)
    if encoder is None:
        raise invalid_field(field, f"there is no encoder {encoder_id!r}", "encoder_not_found")
    architecture = find_architecture(encoder.architecture)
    if resources.settings.artifacts_url is not None:
        # Its worker finds it, on whichever host; a row lasts no longer than its file.
        return ResolvedEncoder(architecture, f"{REFERENCE}{encoder.path}#{encoder.sha256}")
    if (file := look(resources.settings, encoder.path)) is None:
        message = f"the weights of {encoder_id} are no longer in the artifact store"
        raise invalid_field(field, message, "encoder_unavailable")
    return ResolvedEncoder(architecture, str(file.path))


def list_page(
    resources: Resources,
    actor: Actor,
    kind: EncoderKind,
    search: str,
    limit: int,
    after: str | None,
) -> Page[EncoderView]:
    """Return a page of results, newest first, or of base architectures, by name."""
    if kind == "base":
        words = search.lower().split()
        found = (name for name in sorted(architectures()) if name > (after or ""))
        names = [name for name in found if all(word in name for word in words)]
        return paginate(
            names,
            limit,
            lambda name: EncoderView.of_base(find_architecture(name)),
            lambda name: name,
        )
    with resources.database.read() as session:
        rows = queries.encoders_page(session, limit + 1, after, search, actor.confined_to)
        jobs = queries.jobs_by_id(session, [row.job_id for row in rows])
        users = queries.user_names(session, [job.user_id for job in jobs.values()])
    return paginate(
        rows,
        limit,
        lambda row: _view(row, jobs[row.job_id], users),
        lambda row: row.id,
    )


def get(resources: Resources, actor: Actor, encoder_id: str) -> EncoderView:
    """Return one encoder by its id or its architecture's name."""
    if encoder_id in architectures():
        return EncoderView.of_base(find_architecture(encoder_id))
    with resources.database.read() as session:
        encoder = find(session, actor, encoder_id)
        job = session.get_one(Job, encoder.job_id)
        return _view(encoder, job, queries.user_names(session, [job.user_id]))


def find(session: Session, actor: Actor, encoder_id: str) -> Encoder:
    """Return a post-trained encoder that the actor may see.

    Raises:
        ApiError: 404; for a base architecture it says where the weights are.
    """
    if encoder_id in architectures():
        detail = (
            f"{encoder_id} is a base encoder, whose weights are not kept here; "
            f"timm.create_model({encoder_id!r}, pretrained=True) fetches them"
        )
        raise ApiError(404, "weights_not_kept", detail)
    known = ENCODER_ID.fullmatch(encoder_id)
    encoder = _visible(session, actor, encoder_id) if known else None
    if encoder is None:
        raise not_found("encoder", encoder_id)
    return encoder


def _visible(session: Session, actor: Actor, encoder_id: str) -> Encoder | None:
    """The encoder, which belongs to whom its job belongs to."""
    encoder = queries.encoder_by_id(session, encoder_id)
    if encoder is None or not may_see(actor, session.get_one(Job, encoder.job_id)):
        return None
    return encoder


def _view(encoder: Encoder, job: Job, users: Mapping[str, str]) -> EncoderView:
    facts = find_architecture(encoder.architecture)
    return EncoderView.of(encoder, facts, users[job.user_id], job.visibility)
