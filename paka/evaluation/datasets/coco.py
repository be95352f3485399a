"""COCO-Stuff and COCO-Things: the super-categories of COCO 2017, from its stuff and thing maps.

Caesar et al., "COCO-Stuff: Thing and Stuff Classes in Context", CVPR 2018. A pixel of a map holds
the category's id less one: things 0 … 90, stuff 91 … 181, unlabelled 255.

Dense self-supervised learning is evaluated on the 15 super-categories of stuff, with things
ignored, and on the 12 of things, with stuff ignored (Ziegler and Asano, "Self-Supervised Learning
of Object Parts for Semantic Segmentation", CVPR 2022, called Leopart, and NeCo after it); in both,
their order is the alphabet's. They read the same things from COCO's panoptic masks.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from paka.data.folder import list_images
from paka.evaluation.datasets.base import (
    IGNORE,
    LabelledImages,
    Layout,
    Split,
    first_with,
    make_lookup,
    make_split,
)

# Category ids as in COCO's annotations; the ranges span the few that COCO has dropped.
STUFF: dict[str, tuple[int, ...]] = {
    "building": (95, 96, 128, 151, 158, 166),
    "ceiling": (102, 103),
    "floor": (101, 114, 115, 116, 117, 118),
    "food-stuff": (121, 122, 153, 170),
    "furniture-stuff": (98, 107, 108, 110, 112, 123, 130, 133, 156, 161, 165),
    "ground": (111, 125, 126, 136, 140, 144, 145, 147, 149, 154, 159),
    "plant": (94, 97, 119, 124, 129, 134, 142, 163, 169),
    "raw-material": (100, 132, 139, 143),
    "sky": (106, 157),
    "solid": (127, 135, 150, 160, 162, 182),
    "structural": (99, 113, 138, 146, 164),
    "textile": (92, 93, 104, 105, 109, 131, 137, 141, 152, 167, 168),
    "wall": (171, 172, 173, 174, 175, 176, 177),
    "water": (120, 148, 155, 178, 179),
    "window": (180, 181),
}
THINGS: dict[str, Iterable[int]] = {
    "accessory": range(26, 34),
    "animal": range(16, 26),
    "appliance": range(78, 84),
    "electronic": range(72, 78),
    "food": range(52, 62),
    "furniture": range(62, 72),
    "indoor": range(84, 92),
    "kitchen": range(44, 52),
    "outdoor": range(10, 16),
    "person": (1,),
    "sports": range(34, 44),
    "vehicle": range(2, 10),
}
_KINDS: dict[str, tuple[str, Mapping[str, Iterable[int]]]] = {
    "coco-stuff": ("COCO-Stuff", STUFF),
    "coco-things": ("COCO-Things", THINGS),
}
_IMAGES = ("images", ".")
_MAPS = ("stuffthingmaps", "stuffthingmaps_trainval2017", "annotations")


def _find(root: Path) -> Path | None:
    return root if _folder(root, _IMAGES) and _folder(root, _MAPS) else None


def _folder(root: Path, names: Iterable[str]) -> Path | None:
    candidates = (first_with(root / name, (), ("train2017", "val2017")) for name in names)
    return next((folder for folder in candidates if folder), None)


def _read(root: Path, *, layout: str) -> LabelledImages:
    name, categories = _KINDS[layout]
    train, val = (_split(root, split, categories) for split in ("train2017", "val2017"))
    return LabelledImages(name, layout, tuple(categories), train, val)


def _split(root: Path, split: str, categories: Mapping[str, Iterable[int]]) -> Split:
    images, maps = _folder(root, _IMAGES) or root, _folder(root, _MAPS) or root
    chosen = {
        category - 1: index
        for index, members in enumerate(categories.values())
        for category in members
    }
    ignored = {*range(182), IGNORE} - chosen.keys()
    return make_split(
        list_images(images / split),
        lambda image: maps / split / f"{image.stem}.png",
        make_lookup(chosen, ignored),
    )


_EXPECTS = "{train,val}2017 or images/{train,val}2017, and stuffthingmaps/{train,val}2017"
COCO_STUFF = Layout(_EXPECTS, _find, partial(_read, layout="coco-stuff"))
COCO_THINGS = Layout(_EXPECTS, _find, partial(_read, layout="coco-things"))
