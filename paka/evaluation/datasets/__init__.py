"""Labelled data sets in the folder layouts in which they are given out; without torch."""

from pathlib import Path
from typing import Literal

from paka.errors import DataError
from paka.evaluation.datasets.ade20k import ADE20K
from paka.evaluation.datasets.base import IGNORE, LabelledImages, Layout, Split, fingerprint
from paka.evaluation.datasets.cityscapes import CITYSCAPES
from paka.evaluation.datasets.coco import COCO_STUFF, COCO_THINGS
from paka.evaluation.datasets.plain import PLAIN
from paka.evaluation.datasets.voc import VOC, VOC_AUG

__all__ = [
    "IGNORE",
    "LAYOUTS",
    "LabelledImages",
    "LayoutName",
    "Split",
    "fingerprint",
    "open_labelled",
]

LayoutName = Literal[
    "auto", "plain", "voc", "voc_aug", "ade20k", "coco_stuff", "coco_things", "cityscapes"
]
LAYOUTS: dict[str, Layout] = {
    "plain": PLAIN,
    "voc": VOC,
    "voc_aug": VOC_AUG,
    "ade20k": ADE20K,
    "coco_stuff": COCO_STUFF,
    "coco_things": COCO_THINGS,
    "cityscapes": CITYSCAPES,
}


def open_labelled(path: Path, layout: LayoutName = "auto") -> LabelledImages:
    """Return the labelled data set in a folder.

    Args:
        layout: how the folder is laid out, or `auto`, which looks for the only layout that fits.

    Raises:
        DataError: no such folder, one that fits no layout or not the one asked for, one of which
            `auto` cannot say what it is, or files that are missing.

    Example:
        >>> camvid = open_labelled(Path("camvid"))
        >>> camvid.val.read_mask(0).shape
        (360, 480)
    """
    if not path.is_dir():
        what = "is not a folder" if path.exists() else "does not exist"
        raise DataError(f"{path} {what}; give the folder of a labelled data set")
    chosen = LAYOUTS[_recognise(path) if layout == "auto" else layout]
    root = chosen.find(path)
    if root is None:
        raise DataError(f"{path} is not laid out as {layout}: it needs {chosen.expects}")
    return chosen.read(root)


def _recognise(path: Path) -> str:
    fitting = [name for name, layout in LAYOUTS.items() if layout.find(path)]
    if len(fitting) > 1:
        raise DataError(f"{path} fits several layouts; choose one: {' or '.join(fitting)}")
    if not fitting:
        known = "; ".join(f"{name}: {layout.expects}" for name, layout in LAYOUTS.items())
        raise DataError(f"{path} is no labelled data set in a known layout. {known}")
    return fitting[0]
