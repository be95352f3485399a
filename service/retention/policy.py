"""Which files go, decided without looking at any: by age, by count, by quota, in that order."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, Self

from service.store.settings import Settings

Kind = Literal["checkpoint", "artifacts", "encoder"]
_CHEAPEST_FIRST: tuple[Kind, ...] = ("checkpoint", "artifacts", "encoder")


class Item(NamedTuple):
    """Something of a job that can go by itself: a checkpoint, its final encoder, or all the rest.

    `step` is a checkpoint's; `ended_at` None stands for a job that has not ended. `protected` says
    why it never goes. What is `needed` to resume a failed or cancelled job goes by age only.
    """

    job_id: str
    user_id: str
    kind: Kind
    bytes: int
    ended_at: datetime | None
    step: int | None = None
    protected: str | None = None
    needed: bool = False


class Choice(NamedTuple):
    """Something to remove, and why."""

    item: Item
    reason: str


class Policy(NamedTuple):
    """How long, how many, how much; None stands for no limit.

    Days since the job's end; `checkpoint_jobs` is how many ended jobs of a user keep checkpoints;
    quotas in bytes. `encoders` says whether final encoders go as other artifacts do.
    """

    checkpoints_days: float | None = None
    artifacts_days: float | None = None
    checkpoint_jobs: int | None = None
    quota_bytes: int | None = None
    user_quota_bytes: int | None = None
    encoders: bool = False

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The policy that the settings hold."""
        return cls(*(getattr(settings, f"retention_{name}") for name in cls._fields))

    @property
    def is_set(self) -> bool:
        """Whether there is any limit."""
        return any(limit is not None for limit in self[:-1])

    def spares(self, item: Item) -> bool:
        """Whether nothing but a change of the policy could remove it."""
        return item.protected is not None or (item.kind == "encoder" and not self.encoders)


def choose(items: Sequence[Item], policy: Policy, now: datetime) -> list[Choice]:
    """Return what goes, the cheapest to lose first, and among equals the oldest.

    Afterwards each quota holds, or all that counts towards it is spared or needed.
    """
    reasons: dict[Item, str] = {}
    open_to_choice = sorted((item for item in items if not policy.spares(item)), key=_order)
    for item in open_to_choice:
        if reason := _too_old(item, policy, now):
            reasons[item] = reason
    expendable = [item for item in open_to_choice if not item.needed]
    for item in _too_many(expendable, policy.checkpoint_jobs, reasons):
        reasons[item] = f"its user has {policy.checkpoint_jobs} newer jobs with checkpoints"
    if policy.user_quota_bytes is not None:
        of_users = defaultdict(list)
        for item in items:
            of_users[item.user_id].append(item)
        for theirs in of_users.values():
            usable = [item for item in expendable if item.user_id == theirs[0].user_id]
            for item in _too_much(theirs, usable, policy.user_quota_bytes, reasons):
                reasons[item] = "its user is above the quota"
    if policy.quota_bytes is not None:
        for item in _too_much(items, expendable, policy.quota_bytes, reasons):
            reasons[item] = "all together are above the quota"
    return [Choice(item, reasons[item]) for item in open_to_choice if item in reasons]


def _order(item: Item) -> tuple[int, datetime, str, int]:
    assert item.ended_at is not None, f"{item.job_id} has not ended, and must be protected"
    return _CHEAPEST_FIRST.index(item.kind), item.ended_at, item.job_id, item.step or 0


def _too_old(item: Item, policy: Policy, now: datetime) -> str | None:
    days = policy.checkpoints_days if item.kind == "checkpoint" else policy.artifacts_days
    if days is None or item.ended_at is None or now - item.ended_at <= timedelta(days=days):
        return None
    return f"its job ended more than {days:g} days ago"


def _too_many(
    expendable: Iterable[Item], limit: int | None, chosen: dict[Item, str]
) -> Iterable[Item]:
    if limit is None:
        return []
    checkpoints = [i for i in expendable if i.kind == "checkpoint" and i not in chosen]
    newest: dict[str, list[str]] = defaultdict(list)
    for item in reversed(checkpoints):
        if item.job_id not in newest[item.user_id]:
            newest[item.user_id].append(item.job_id)
    return [i for i in checkpoints if i.job_id not in newest[i.user_id][:limit]]


def _too_much(
    items: Iterable[Item], expendable: Iterable[Item], limit: int, chosen: dict[Item, str]
) -> list[Item]:
    excess = sum(item.bytes for item in items if item not in chosen) - limit
    going = []
    for item in expendable:
        if excess <= 0:
            break
        if item not in chosen and item.bytes:
            going.append(item)
            excess -= item.bytes
    return going
