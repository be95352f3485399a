"""One scene: a setting of sky, ground and walls, with objects before each other in one light."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from paka.scenes import shapes, textures
from paka.scenes.shapes import Mask, Shape
from paka.scenes.textures import Array, Texture

Image8 = NDArray[np.uint8]
Camera = Literal["clear", "murky"]


class Stuff(NamedTuple):
    """A surface without an outline of its own. hue: where in the colour circle it tends to lie
    (turns), and how far from there it may be.
    """

    texture: Texture
    hue: float
    hue_spread: float
    saturation: tuple[float, float]
    period: tuple[float, float]


class Thing(NamedTuple):
    """An object: outline, pattern (any colours), width / height, height as a share of the image."""

    shape: Shape
    texture: Texture
    aspect: tuple[float, float]
    height: tuple[float, float]


STUFF = {
    "sky": Stuff(textures.clouds, 0.58, 0.08, (0.1, 0.6), (30, 60)),
    "grass": Stuff(textures.blades, 0.27, 0.1, (0.3, 0.8), (8, 16)),
    "sand": Stuff(textures.grains, 0.11, 0.05, (0.2, 0.6), (10, 20)),
    "road": Stuff(textures.asphalt, 0.6, 0.5, (0.0, 0.12), (14, 30)),
    "water": Stuff(textures.ripples, 0.55, 0.12, (0.2, 0.7), (6, 14)),
    "brick": Stuff(textures.bricks, 0.03, 0.1, (0.2, 0.7), (14, 30)),
    "facade": Stuff(textures.windows, 0.3, 0.5, (0.0, 0.35), (14, 30)),
    "forest": Stuff(textures.leaves, 0.3, 0.12, (0.2, 0.7), (12, 24)),
}
THINGS = {
    "ball": Thing(shapes.disc, textures.plain, (1.0, 1.0), (0.12, 0.35)),
    "box": Thing(shapes.quadrangle, textures.plain, (0.7, 1.5), (0.15, 0.4)),
    "pole": Thing(shapes.rectangle, textures.plain, (0.06, 0.12), (0.35, 0.8)),
    "flag": Thing(shapes.quadrangle, textures.stripes, (0.9, 1.8), (0.15, 0.4)),
    "board": Thing(shapes.quadrangle, textures.checks, (0.8, 1.3), (0.15, 0.4)),
    "dice": Thing(shapes.quadrangle, textures.dots, (0.8, 1.25), (0.15, 0.4)),
    "tree": Thing(shapes.tree, textures.leaves, (0.6, 0.9), (0.3, 0.7)),
    "star": Thing(shapes.star, textures.plain, (0.9, 1.1), (0.15, 0.4)),
    "target": Thing(shapes.disc, textures.rings, (0.9, 1.1), (0.15, 0.4)),
    "cloth": Thing(shapes.blob, textures.waves, (0.8, 1.4), (0.2, 0.45)),
    "animal": Thing(shapes.blob, textures.fur, (1.1, 1.9), (0.15, 0.35)),
    "car": Thing(shapes.car, textures.plain, (1.7, 2.4), (0.12, 0.3)),
    "fence": Thing(shapes.rectangle, textures.bars, (1.5, 3.5), (0.12, 0.25)),
    "person": Thing(shapes.person, textures.plain, (0.35, 0.5), (0.25, 0.6)),
    "tyre": Thing(shapes.ring, textures.plain, (0.9, 1.1), (0.15, 0.35)),
}
CLASSES: tuple[str, ...] = (*STUFF, *THINGS)

# Each setting: what is above, what stands on the horizon (None: nothing), what is below, and the
# things that are at home there: half of its things are drawn from these.
SETTINGS: dict[str, tuple[str, str | None, str, tuple[str, ...]]] = {
    "meadow": ("sky", None, "grass", ("animal", "tree", "fence")),
    "park": ("sky", "forest", "grass", ("tree", "person", "ball")),
    "beach": ("sky", "water", "sand", ("ball", "cloth", "person")),
    "lake": ("sky", "forest", "water", ("tree", "flag", "tyre")),
    "street": ("sky", "facade", "road", ("car", "pole", "person")),
    "yard": ("brick", None, "road", ("box", "tyre", "car")),
    "harbour": ("sky", "facade", "water", ("flag", "box", "pole")),
    "garden": ("brick", "forest", "grass", ("fence", "star", "animal")),
    "desert": ("sky", None, "sand", ("animal", "star", "pole")),
    "stage": ("facade", None, "sand", ("board", "dice", "target")),
}
_OUTLINES: dict[str, Shape] = {
    "facade": shapes.ridge,
    "forest": shapes.hills,
    "water": shapes.rectangle,
}


class Scene(NamedTuple):
    """image: (S, S, 3) uint8 RGB. mask: (S, S) uint8, an index into CLASSES. setting: its name."""

    image: Image8
    mask: Image8
    setting: str


def draw_scene(seed: int, size: int = 224, camera: Camera = "clear") -> Scene:
    """Draw one scene; the same arguments always give the same pixels.

    Args:
        camera: `murky` photographs the same scene out of focus, through haze, by a noisy sensor.
    """
    rng = np.random.default_rng([seed, size])
    setting = list(SETTINGS)[int(rng.integers(len(SETTINGS)))]
    above, horizon, below, at_home = SETTINGS[setting]
    canvas = _Canvas(rng, size)
    line = round(size * rng.uniform(0.25, 0.65))
    everywhere = np.ones((size, size), dtype=np.bool_)
    canvas.stuff(above, 0, everywhere)
    if horizon is not None:
        height = round(size * rng.uniform(0.12, 0.45))
        top = max(line - height, 0)
        outline = _OUTLINES[horizon]
        canvas.stuff(horizon, top, outline(rng, size - top, size))
    canvas.stuff(below, line, everywhere[line:])
    count = int(rng.integers(3, 9))
    # Far things are drawn first and are smaller: nearness 0 at the horizon, 1 at the front.
    for nearness in np.sort(rng.uniform(0, 1, count)):
        names = at_home if rng.random() < 0.5 else tuple(THINGS)
        canvas.thing(names[int(rng.integers(len(names)))], line, float(nearness))
    image = canvas.photograph()
    if camera == "murky":
        image = _through_haze(np.random.default_rng([seed, size, 1]), image)
    return Scene(image, canvas.mask, setting)


class _Canvas:
    """What has been drawn so far, in linear RGB (S, S, 3) float32."""

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        self.rng, self.size = rng, size
        self.image = np.zeros((size, size, 3), dtype=np.float32)
        self.mask = np.zeros((size, size), dtype=np.uint8)
        self.light = float(rng.uniform(-1, 1))

    def stuff(self, name: str, top: int, outline: Mask) -> None:
        """Fill `outline`, whose first row is row `top` of the image."""
        kind, rng = STUFF[name], self.rng
        rows, columns = np.mgrid[0 : outline.shape[0], 0 : self.size].astype(np.float32)
        period = rng.uniform(*kind.period) * self.size / 224
        u, v = columns / period, rows / period
        if top and name in ("road", "water"):
            # Ground seen in perspective: far rows are closer together.
            depth = np.float32(self.size) / (rows + 0.12 * self.size)
            u = (columns - self.size / 2) / period * depth * 0.5
            v = depth * 3
        pattern = kind.texture(rng, u, v)
        hue = kind.hue + rng.uniform(-1, 1) * kind.hue_spread
        dark = _colour(hue, rng.uniform(*kind.saturation), rng.uniform(0.15, 0.5))
        bright = _colour(hue + rng.normal(0, 0.03), rng.uniform(*kind.saturation), 0.9)
        self._paint(name, top, 0, outline, _mix(pattern, dark, bright))

    def thing(self, name: str, line: int, nearness: float) -> None:
        """Put an object on the ground, `line` being the horizon's row."""
        kind, rng, size = THINGS[name], self.rng, self.size
        low, high = kind.height
        height = max(round(size * (low + (high - low) * (0.3 * rng.random() + 0.7 * nearness))), 8)
        width = max(round(height * rng.uniform(*kind.aspect)), 4)
        foot = line + (size * 1.05 - line) * nearness + 0.1 * size * rng.random()
        top, left = round(foot - height), round(rng.uniform(-0.25 * width, size - 0.75 * width))
        outline = kind.shape(rng, height, width)
        rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
        turn = rng.normal(0, 0.25) if kind.texture is not textures.bars else 0.0
        period = rng.uniform(0.16, 0.34) * min(height, width)
        along, across = np.float32(np.cos(turn) / period), np.float32(np.sin(turn) / period)
        pattern = kind.texture(
            rng, columns * along + rows * across, rows * along - columns * across
        )
        colours = [_colour(rng.random(), rng.uniform(0, 0.9), b) for b in rng.uniform(0, 1, 2)]
        surface = _mix(pattern, *colours) * self._shade(kind, rows / height, columns / width)
        self._shadow(top + height, left, width)
        self._paint(name, top, left, outline, surface)

    def _shade(self, kind: Thing, y: Array, x: Array) -> Array:
        """How bright the light falls on an object, (H, W, 1); round things darken at the rim."""
        side = 1 + 0.35 * self.light * (2 * x - 1) - 0.25 * (2 * y - 1)
        if kind.shape in (shapes.disc, shapes.blob, shapes.tree):
            away = (2 * x - 1 - 0.4 * self.light) ** 2 + (2 * y - 0.6) ** 2
            side = side * (1.15 - 0.35 * np.minimum(away, 1.5))
        return np.asarray(side[..., None], dtype=np.float32)

    def _shadow(self, foot: int, left: int, width: int) -> None:
        """Darken a flat ellipse on the ground, away from the light."""
        rows, columns = np.mgrid[0 : self.size, 0 : self.size].astype(np.float32)
        middle = left + width / 2 - self.light * 0.3 * width
        across, down = (columns - middle) / (0.6 * width), (rows - foot) / (0.12 * width + 2)
        self.image *= np.where(across**2 + down**2 < 1, 0.6, 1)[..., None].astype(np.float32)

    def _paint(self, name: str, top: int, left: int, outline: Mask, surface: Array) -> None:
        """Lay `surface` (h, w, 3) where `outline` (h, w) is set and inside the image."""
        y0, x0 = max(top, 0), max(left, 0)
        y1 = min(top + outline.shape[0], self.size)
        x1 = min(left + outline.shape[1], self.size)
        if y0 >= y1 or x0 >= x1:
            return
        part = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
        seen = outline[part]
        self.image[y0:y1, x0:x1][seen] = surface[part][seen]
        self.mask[y0:y1, x0:x1][seen] = CLASSES.index(name)

    def photograph(self) -> Image8:
        """Light the whole scene, and take it with a camera that blurs and has noise."""
        rng = self.rng
        lit = self.image * (0.75 + 0.5 * textures.noise(rng, self.mask.shape, 2))[..., None]
        lit *= rng.uniform(0.8, 1.5) * (1 + 0.12 * rng.normal(size=3)).astype(np.float32)
        photo = np.clip(lit, 0, 1) ** np.float32(rng.uniform(0.7, 1.2))
        photo += rng.normal(0, rng.uniform(0.005, 0.04), photo.shape).astype(np.float32)
        image = Image.fromarray((np.clip(photo, 0, 1) * 255).astype(np.uint8))
        return np.asarray(image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 0.9))))


def _through_haze(rng: np.random.Generator, image: Image8) -> Image8:
    """What a camera out of focus sees of `image` (S, S, 3) through haze of some colour."""
    blurred = Image.fromarray(image).filter(ImageFilter.GaussianBlur(rng.uniform(0.8, 1.6)))
    haze, veil = rng.uniform(0.3, 0.6), np.array([0.55, 0.62, 0.66]) + rng.normal(0, 0.05, 3)
    photo = np.asarray(blurred) / 255 * (1 - haze) + veil * haze
    photo += rng.normal(0, rng.uniform(0.04, 0.1), photo.shape)
    return np.asarray(np.clip(photo, 0, 1) * 255, dtype=np.uint8)


def _colour(hue: float, saturation: float, brightness: float) -> Array:
    """RGB (3,) in 0..1 of a hue in turns."""
    away = np.abs((np.array([0, 1 / 3, 2 / 3]) - hue + 0.5) % 1 - 0.5)
    pure = np.clip(2 - 6 * away, 0, 1)
    return np.asarray(brightness * (1 - saturation + saturation * pure), dtype=np.float32)


def _mix(pattern: Array, first: Array, second: Array) -> Array:
    """From `first` where the pattern (H, W) is 0 to `second` where it is 1: (H, W, 3)."""
    return np.asarray(first + pattern[..., None] * (second - first), dtype=np.float32)
