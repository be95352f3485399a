"""A colour for each class, well apart from its neighbours', the same in every picture."""

import colorsys

import numpy as np

# Twenty that are easily told apart on light and on dark ground; further ones turn the hue by the
# golden angle, in three bands of lightness.
_FIRST = bytes.fromhex(
    "4e79a7 f28e2b 59a14f e15759 b07aa1 edc948 76b7b2 9c755f ff9da7 8cd17d "
    "1f5f8b b6992d 499894 d37295 79706e a0cbe8 d4a6c8 86bcb6 d7b5a6 6a3d9a"
)


def class_colours(count: int) -> np.ndarray:
    """Return uint8 (count, 3) RGB; the colours of the first classes do not hang on `count`."""
    first = np.frombuffer(_FIRST, np.uint8).reshape(-1, 3)[:count]
    rest = [_turned(index) for index in range(len(first), count)]
    return np.concatenate([first, np.array(rest, np.uint8).reshape(-1, 3)])


def _turned(index: int) -> tuple[int, ...]:
    hue, lightness = index * 0.6180339887 % 1, (0.42, 0.58, 0.72)[index % 3]
    return tuple(round(255 * part) for part in colorsys.hls_to_rgb(hue, lightness, 0.6))
