"""Somebody who asks something of the service, and what of others' they may see and change."""

from typing import NamedTuple, Protocol

from service.store.models import LOCAL_USER_ID, Role, Visibility

RANKS: dict[Role, int] = {"viewer": 0, "member": 1, "admin": 2}


class Actor(NamedTuple):
    """Who sent a request, by which key and from which address.

    Both are None on a server that is open to its own machine, and for the command line.
    """

    user_id: str
    name: str
    role: Role
    key_id: str | None = None
    address: str | None = None

    @property
    def confined_to(self) -> str | None:
        """The user whose private things alone they see; None for an admin, who sees all."""
        return None if self.role == "admin" else self.user_id


LOCAL_ACTOR = Actor(LOCAL_USER_ID, "local", "admin")
COLLECTOR = Actor("", "metrics", "viewer")
"""Whoever has the token of the metrics: it opens `/metrics` only."""


class Owned(Protocol):
    """What belongs to a user: a job, an encoder by its job, a data set."""

    @property
    def user_id(self) -> str:
        """The owner."""

    @property
    def visibility(self) -> Visibility:
        """Who may see it: all (`lab`), or the owner and admins (`private`)."""


def may_see(actor: Actor, thing: Owned) -> bool:
    """Whether it exists, as far as this actor is told."""
    return thing.visibility == "lab" or may_change(actor, thing)


def may_change(actor: Actor, thing: Owned) -> bool:
    """Whether it is theirs, or they are an admin; a viewer changes nothing."""
    return actor.role == "admin" or (actor.role == "member" and thing.user_id == actor.user_id)
