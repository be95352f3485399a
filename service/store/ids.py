"""Ids such as `job_01k9z…`: a prefix and a ULID, so that sorting by id sorts by time."""

import os
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32
_LENGTH = 26


def new_id(prefix: str) -> str:
    """Return `<prefix>_` and 26 characters: 48 bits of milliseconds, 80 random bits."""
    value = (time.time_ns() // 1_000_000 << 80) | int.from_bytes(os.urandom(10))
    digits = (_ALPHABET[value >> shift & 31] for shift in range(5 * (_LENGTH - 1), -1, -5))
    return f"{prefix}_{''.join(digits)}"


def made_at(identifier: str) -> float:
    """When an id was made, in Unix seconds."""
    value = 0
    for digit in identifier.rpartition("_")[2]:
        value = value << 5 | _ALPHABET.index(digit)
    return (value >> 80) / 1000
