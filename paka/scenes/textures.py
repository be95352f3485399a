"""Surface patterns: functions of surface coordinates, with values in 0..1.

Each takes a random generator and surface coordinates u, v (H, W), whose unit is about one period
of the pattern, and returns the pattern (H, W) float32. What makes a class recognisable is its
pattern and shape; colours are drawn apart from it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[np.float32]
Texture = Callable[[np.random.Generator, Array, Array], Array]


def noise(rng: np.random.Generator, shape: tuple[int, int], cells: float) -> Array:
    """Smooth noise (H, W) in 0..1 with about `cells` bumps along the longer side."""
    height, width = shape
    longest = max(shape)
    grid = (max(round(cells * height / longest), 1) + 2, max(round(cells * width / longest), 1) + 2)
    coarse = Image.fromarray(rng.random(grid, dtype=np.float32))
    fine = coarse.resize((width, height), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(fine, dtype=np.float32), 0, 1)


def fractal(rng: np.random.Generator, shape: tuple[int, int], cells: float, octaves: int) -> Array:
    """Sum of noises, each twice as fine and half as strong as the one before."""
    total = np.zeros(shape, dtype=np.float32)
    for octave in range(octaves):
        total += noise(rng, shape, cells * 2**octave) * np.float32(0.5**octave)
    return total / np.float32(2 - 0.5 ** (octaves - 1))


def _edge(wave: NDArray[np.floating[Any]], sharpness: float) -> Array:
    """Turn a wave in -1..1 into a pattern in 0..1 with edges of the given sharpness."""
    return np.asarray(0.5 + 0.5 * np.tanh(sharpness * wave), dtype=np.float32)


def stripes(rng: np.random.Generator, u: Array, v: Array) -> Array:
    """Parallel bands."""
    return _edge(np.sin(2 * np.pi * u), rng.uniform(2, 8))


def checks(rng: np.random.Generator, u: Array, v: Array) -> Array:
    """A chessboard."""
    return _edge(np.sin(np.pi * u) * np.sin(np.pi * v), rng.uniform(6, 20))


def dots(rng: np.random.Generator, u: Array, v: Array) -> Array:
    """Discs on a square lattice."""
    distance = np.hypot(u - np.floor(u) - 0.5, v - np.floor(v) - 0.5)
    return _edge(np.asarray(rng.uniform(0.22, 0.36) - distance, dtype=np.float32), 14)


def rings(rng: np.random.Generator, u: Array, v: Array) -> Array:
    """Concentric circles around the middle."""
    radius = np.hypot(u - u.mean(), v - v.mean())
    return _edge(np.sin(2 * np.pi * radius), rng.uniform(3, 8))


def waves(rng: np.random.Generator, u: Array, v: Array) -> Array:
    """Bands that swing from side to side."""
    swing = np.float32(rng.uniform(0.3, 0.6)) * np.sin(np.pi * v)
    return _edge(np.sin(2 * np.pi * (u + swing)), rng.uniform(1, 3))


def bricks(rng: np.random.Generator, u: Array, v: Array) -> Array:
    """Courses of bricks, each brick of its own shade, with mortar between."""
    row = np.floor(2 * v)
    column = np.floor(u + 0.5 * (row % 2))
    along, across = u + 0.5 * (row % 2) - column, 2 * v - row
    mortar = (along < 0.06) | (across < 0.12)
    shade = 0.45 + 0.4 * _cell_values(rng, column, row)
    return np.where(mortar, 1, shade).astype(np.float32)


def windows(rng: np.random.Generator, u: Array, v: Array) -> Array:
    """A facade: dark panes in rows, some of them lit."""
    column, row = np.floor(u), np.floor(v)
    along, across = u - column, v - row
    low, high = rng.uniform(0.15, 0.3), rng.uniform(0.7, 0.85)
    pane = (along > low) & (along < high) & (across > 0.2) & (across < rng.uniform(0.6, 0.85))
    lit = 0.5 * (_cell_values(rng, column, row) > 0.8)
    return np.where(pane, lit, 0.85).astype(np.float32)


def bars(rng: np.random.Generator, u: Array, v: Array) -> Array:
    """Upright slats with dark gaps, and a rail across."""
    along = u - np.floor(u)
    slat = along < rng.uniform(0.4, 0.6)
    rail = np.abs(v - v.mean()) < 0.18 * max(float(np.ptp(v)), 1e-3)
    return np.where(slat | rail, 0.9, 0.05).astype(np.float32)


def leaves(rng: np.random.Generator, u: Array, v: Array) -> Array:
    """Clumps of light and dark, as foliage has."""
    cells = max(float(np.ptp(u)), float(np.ptp(v)), 1.0)
    clumps = fractal(rng, u.shape, 1.5 * cells, 3)
    return _edge((clumps - 0.5) * 6, 1.2)


def fur(rng: np.random.Generator, u: Array, v: Array) -> Array:
    """Short streaks in one direction."""
    height, width = u.shape
    streaks = noise(rng, (height, max(width // 6, 2)), max(height // 2, 2))
    image = Image.fromarray(streaks).resize((width, height), Image.Resampling.BILINEAR)
    return np.clip(np.asarray(image, dtype=np.float32) * 1.6 - 0.3, 0, 1)


def blades(rng: np.random.Generator, u: Array, v: Array) -> Array:
    """Upright streaks, as grass has."""
    return np.ascontiguousarray(fur(rng, u.T, v.T).T)


def grains(rng: np.random.Generator, u: Array, v: Array) -> Array:
    """Fine speckle over faint dunes."""
    speckle = rng.random(u.shape, dtype=np.float32)
    return np.asarray(0.5 * noise(rng, u.shape, 4) + 0.5 * speckle, dtype=np.float32)


def ripples(rng: np.random.Generator, u: Array, v: Array) -> Array:
    """Broken lines across, as water has."""
    height, width = u.shape
    bend = 0.6 * noise(rng, (height, width), 10)
    return _edge(np.sin(2 * np.pi * (v + bend)) - 0.3, 1.5)


def asphalt(rng: np.random.Generator, u: Array, v: Array) -> Array:
    """Nearly even, with lane marks along v."""
    even = 0.25 + 0.12 * rng.random(u.shape, dtype=np.float32)
    lane = (np.abs(u - np.round(u / 3) * 3) < 0.12) & (v - np.floor(v) < 0.6)
    return np.where(lane, 1, even).astype(np.float32)


def clouds(rng: np.random.Generator, u: Array, v: Array) -> Array:
    """Soft large patches, or a clear gradient."""
    cover = fractal(rng, u.shape, 3, 3)
    fade = np.linspace(0, 0.5, u.shape[0], dtype=np.float32)[:, None]
    return np.clip(fade + np.float32(rng.uniform(0, 1.5)) * np.clip(cover - 0.45, 0, 1) * 2, 0, 1)


def plain(rng: np.random.Generator, u: Array, v: Array) -> Array:
    """One smooth surface."""
    return np.asarray(0.4 + 0.2 * noise(rng, u.shape, 2), dtype=np.float32)


def _cell_values(rng: np.random.Generator, column: Array, row: Array) -> Array:
    """A value in 0..1 for each cell, the same at all its pixels."""
    table = rng.random((64, 64), dtype=np.float32)
    return table[column.astype(np.int64) % 64, row.astype(np.int64) % 64]
