"""Who had what while somebody had to wait, and how evenly that was shared."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping

from benchmarks.scheduling.month import GPUS
from service.store.places import Running, Waiting


class Account:
    """Adds up slot-seconds by user.

    `got`: what a user's jobs ran on, `wanted`: what they asked for, `fair`: what equal shares of
    the GPUs would have given; all three only while somebody waits. `longest_dry`: the longest time
    that a user had jobs waiting and none running.
    """

    def __init__(self) -> None:
        self.busy = self.contended = self.busy_contended = 0.0
        self.got: dict[str, float] = defaultdict(float)
        self.wanted: dict[str, float] = defaultdict(float)
        self.fair: dict[str, float] = defaultdict(float)
        self.longest_dry: dict[str, float] = defaultdict(float)
        self._dry: dict[str, float] = {}

    def add(self, seconds: float, waiting: Collection[Waiting], running: Iterable[Running]) -> None:
        """A stretch of time in which nothing changes."""
        held: Counter[str] = Counter()
        for job in running:
            held[job.user] += len(job.slots)
        self.busy += seconds * held.total()
        self._note_dry(seconds, {job.user for job in waiting} - held.keys())
        if not waiting:
            return
        self.contended += seconds
        self.busy_contended += seconds * held.total()
        asked = held.copy()
        for one in waiting:
            asked[one.user] += one.slots
        shares = equal_shares(asked)
        for user, slots in asked.items():
            self.got[user] += seconds * held[user]
            self.wanted[user] += seconds * slots
            self.fair[user] += seconds * shares[user]

    def _note_dry(self, seconds: float, users: set[str]) -> None:
        self._dry = {user: self._dry.get(user, 0.0) + seconds for user in users}
        for user, dry in self._dry.items():
            self.longest_dry[user] = max(self.longest_dry[user], dry)


def equal_shares(asked: Mapping[str, float]) -> dict[str, float]:
    """The GPUs dealt out evenly, nobody getting more than they asked for."""
    shares: dict[str, float] = {}
    left = float(GPUS)
    for number, user in enumerate(sorted(asked, key=lambda one: asked[one])):
        shares[user] = min(asked[user], left / (len(asked) - number))
        left -= shares[user]
    return shares


def jain(values: Collection[float]) -> float:
    """Jain's fairness index: 1 if all are equal, 1 / n if one has everything."""
    return sum(values) ** 2 / (len(values) * sum(value**2 for value in values))
