"""Cityscapes, fine annotations: the 19 classes that are evaluated.

Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016. Masks
hold label ids; the table is the official one, cityscapesscripts/helpers/labels.py.
"""

from pathlib import Path

from paka.data.folder import list_images
from paka.evaluation.datasets.base import (
    LabelledImages,
    Layout,
    Split,
    first_with,
    make_lookup,
    make_split,
)

LABEL_IDS = {
    "road": 7,
    "sidewalk": 8,
    "building": 11,
    "wall": 12,
    "fence": 13,
    "pole": 17,
    "traffic light": 19,
    "traffic sign": 20,
    "vegetation": 21,
    "terrain": 22,
    "sky": 23,
    "person": 24,
    "rider": 25,
    "car": 26,
    "truck": 27,
    "bus": 28,
    "train": 31,
    "motorcycle": 32,
    "bicycle": 33,
}
_IMAGE, _MASK = "_leftImg8bit", "_gtFine_labelIds"
_NEEDED = ("leftImg8bit/train", "leftImg8bit/val", "gtFine/train", "gtFine/val")


def _find(root: Path) -> Path | None:
    return first_with(root, (), _NEEDED)


def _read(root: Path) -> LabelledImages:
    train, val = _split(root, "train"), _split(root, "val")
    return LabelledImages("Cityscapes", "cityscapes", tuple(LABEL_IDS), train, val)


def _split(root: Path, split: str) -> Split:
    def mask_of(image: Path) -> Path:
        name = image.stem.removesuffix(_IMAGE) + _MASK
        return root / "gtFine" / split / image.parent.name / f"{name}.png"

    evaluated = {label: index for index, label in enumerate(LABEL_IDS.values())}
    others = set(range(34)) - evaluated.keys()
    images = list_images(root / "leftImg8bit" / split)
    return make_split(images, mask_of, make_lookup(evaluated, ignored=others))


CITYSCAPES = Layout(
    "leftImg8bit/{train,val}/city/*_leftImg8bit.png and "
    "gtFine/{train,val}/city/*_gtFine_labelIds.png",
    _find,
    _read,
)
