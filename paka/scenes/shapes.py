"""Outlines of objects: masks (H, W) bool that fill their box."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Mask = NDArray[np.bool_]
Shape = Callable[[np.random.Generator, int, int], Mask]
Points = list[tuple[float, float]]


def _filled(height: int, width: int, *parts: Points) -> Mask:
    """Fill polygons given in coordinates 0..1."""
    image = Image.new("1", (width, height))
    draw = ImageDraw.Draw(image)
    for part in parts:
        draw.polygon([(x * (width - 1), y * (height - 1)) for x, y in part], fill=1)
    return np.array(image, dtype=np.bool_)


def _ellipse(x: float, y: float, rx: float, ry: float) -> Points:
    turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return [(x + rx * float(np.cos(t)), y + ry * float(np.sin(t))) for t in turns]


def _rectangle(x0: float, y0: float, x1: float, y1: float) -> Points:
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def disc(rng: np.random.Generator, height: int, width: int) -> Mask:
    """An ellipse."""
    return _filled(height, width, _ellipse(0.5, 0.5, 0.5, 0.5))


def rectangle(rng: np.random.Generator, height: int, width: int) -> Mask:
    """The whole box."""
    return np.ones((height, width), dtype=np.bool_)


def quadrangle(rng: np.random.Generator, height: int, width: int) -> Mask:
    """Four corners, each moved inwards a little."""
    a, b, c, d, e, f, g, h = (float(x) for x in rng.uniform(0, 0.25, 8))
    return _filled(height, width, [(a, b), (1 - c, d), (1 - e, 1 - f), (g, 1 - h)])


def blob(rng: np.random.Generator, height: int, width: int) -> Mask:
    """A round thing with an uneven outline."""
    turns = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    phases = rng.uniform(0, 2 * np.pi, 3)
    radius = 0.42 + sum(0.03 * np.sin((k + 2) * turns + p) for k, p in enumerate(phases))
    outline = [
        (0.5 + r * float(np.cos(t)), 0.5 + r * float(np.sin(t)))
        for r, t in zip(radius, turns, strict=True)
    ]
    return _filled(height, width, outline)


def star(rng: np.random.Generator, height: int, width: int) -> Mask:
    """A star of five to seven points."""
    points = int(rng.integers(5, 8))
    turns = rng.uniform(0, 2 * np.pi) + np.pi / points * np.arange(2 * points)
    radius = np.where(np.arange(2 * points) % 2, 0.22, 0.5)
    x, y = 0.5 + radius * np.cos(turns), 0.5 + radius * np.sin(turns)
    return _filled(height, width, [(float(a), float(b)) for a, b in zip(x, y, strict=True)])


def ring(rng: np.random.Generator, height: int, width: int) -> Mask:
    """An ellipse with a hole."""
    hole = _filled(height, width, _ellipse(0.5, 0.5, 0.24, 0.24))
    return disc(rng, height, width) & ~hole


def car(rng: np.random.Generator, height: int, width: int) -> Mask:
    """Body, cabin and two wheels, from the side."""
    cabin = [(0.22, 0.42), (0.34, 0.08), (0.68, 0.08), (0.82, 0.42)]
    wheels = [_ellipse(x, 0.8, 0.12, 0.2) for x in (0.24, 0.76)]
    return _filled(height, width, _rectangle(0.0, 0.4, 1.0, 0.82), cabin, *wheels)


def person(rng: np.random.Generator, height: int, width: int) -> Mask:
    """Head, trunk, arms and two legs."""
    trunk = [(0.15, 0.2), (0.85, 0.2), (0.72, 0.58), (0.28, 0.58)]
    legs = [[(0.3, 0.55), (0.5, 0.55), (0.42, 1), (0.2, 1)]]
    legs.append([(0.5, 0.55), (0.7, 0.55), (0.8, 1), (0.58, 1)])
    return _filled(height, width, _ellipse(0.5, 0.1, 0.18, 0.1), trunk, *legs)


def tree(rng: np.random.Generator, height: int, width: int) -> Mask:
    """A crown of three clumps on a trunk."""
    clumps = [_ellipse(x, y, 0.3, 0.26) for x, y in ((0.3, 0.4), (0.7, 0.4), (0.5, 0.24))]
    return _filled(height, width, *clumps, _rectangle(0.42, 0.5, 0.58, 1.0))


def ridge(rng: np.random.Generator, height: int, width: int) -> Mask:
    """A skyline: blocks of different heights that all reach the bottom."""
    edges = np.sort(rng.uniform(0, 1, int(rng.integers(2, 7))))
    tops = rng.uniform(0, 0.6, len(edges) + 1)
    bounds = [0.0, *(float(e) for e in edges), 1.0]
    blocks = [
        _rectangle(left, float(top), right, 1.0)
        for left, right, top in zip(bounds, bounds[1:], tops, strict=False)
    ]
    return _filled(height, width, *blocks)


def hills(rng: np.random.Generator, height: int, width: int) -> Mask:
    """A wavy skyline."""
    x = np.linspace(0, 1, width)
    phases = rng.uniform(0, 2 * np.pi, 3)
    top = 0.25 + sum(0.08 * np.sin(2 * np.pi * (k + 1) * x + p) for k, p in enumerate(phases))
    rows = np.arange(height)[:, None] / max(height - 1, 1)
    return np.asarray(rows >= top[None, :], dtype=np.bool_)
