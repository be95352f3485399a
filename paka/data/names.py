"""Many names in one piece of memory."""

from collections.abc import Iterable

import numpy as np

# Whatever the locale: an archive's names need not be in its letters. Bytes of no letter at all,
# which Python has as surrogates, come back as such.
_CODE = ("utf-8", "surrogatepass")


class Names:
    """Names of files, by number; it takes no more than their letters and eight bytes for each.

    As objects, a million of them take five times as much. And every loading process, which shares
    them with the one that it was forked from, would soon have a copy of its own: each use of an
    object is noted in it.
    """

    def __init__(self, names: Iterable[str]) -> None:
        encoded = [name.encode(*_CODE) for name in names]
        self._letters = b"".join(encoded)
        self._ends = np.fromiter(map(len, encoded), np.int64, len(encoded)).cumsum()

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> str:
        start = self._ends[index - 1] if index else 0
        return self._letters[start : self._ends[index]].decode(*_CODE)
