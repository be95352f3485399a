"""Which of several media types a client wants, by its `Accept` header."""

from collections.abc import Sequence

from service.errors import ApiError


def choose(accept: str, media_types: Sequence[str]) -> str:
    """Return the media type that an `Accept` header prefers; among equals, the first.

    Raises:
        ApiError: 406; it accepts none of them.
    """
    wanted = {name: _quality(accept or "*/*", name) for name in media_types}
    best = max(media_types, key=lambda name: wanted[name])
    if wanted[best] == 0:
        detail = f"cannot answer as {accept}; Accept one of {', '.join(media_types)}"
        raise ApiError(406, "not_acceptable", detail)
    return best


def _quality(accept: str, name: str) -> float:
    """The weight that an `Accept` header gives to a media type; the most specific range counts."""
    found = (0, 0.0)
    for part in accept.lower().split(","):
        media_range, *parameters = (piece.strip() for piece in part.split(";"))
        ranges = ("*/*", f"{name.partition('/')[0]}/*", name)
        if media_range in ranges:
            weight = next((p[2:] for p in parameters if p.startswith("q=")), "1")
            found = max(found, (ranges.index(media_range) + 1, _number(weight)))
    return found[1]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
