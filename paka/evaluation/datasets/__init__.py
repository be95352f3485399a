"""Labelled data sets in the folder layouts in which they are given out; without torch."""

from pathlib import Path
from typing import Literal

from paka.data.links import Reach, check_links
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
    "find_layout",
    "fingerprint",
    "open_labelled",
]

LayoutName = Literal[
    "auto", "plain", "voc", "voc-aug", "ade20k", "coco-stuff", "coco-things", "cityscapes"
]
LAYOUTS: dict[str, Layout] = {
    "plain": PLAIN,
    "voc": VOC,
    "voc-aug": VOC_AUG,
    "ade20k": ADE20K,
    "coco-stuff": COCO_STUFF,
    "coco-things": COCO_THINGS,
    "cityscapes": CITYSCAPES,
}


def open_labelled(path: Path, layout: LayoutName = "auto") -> LabelledImages:
    """Return the labelled data set in a folder.

    Args:
        layout: how the folder is laid out, or `auto`, which looks for the only layout that fits.

    Raises:
        DataError: what `find_layout` raises, files that are missing or cannot be read, or in a
            server's job a link that may not be followed.

    Example:
        >>> camvid = open_labelled(Path("camvid"))
        >>> camvid.val.read_mask(0).shape
        (360, 480)
    """
    name, root = find_layout(path, layout)
    check_links(path, Reach.from_environment())
    return LAYOUTS[name].read(root)


def find_layout(path: Path, layout: LayoutName = "auto") -> tuple[str, Path]:
    """Return how a folder is laid out, and the folder in it where the data set begins.

    Only folders and lists are looked for, so the answer comes at once however large the data set.

    Raises:
        DataError: no such folder, one that fits no layout or not the one asked for, or one of
            which `auto` cannot say what it is.
    """
    if not path.is_dir():
        what = "is not a folder" if path.exists() else "does not exist"
        raise DataError(f"{path} {what}; give the folder of a labelled data set")
    candidates = LAYOUTS if layout == "auto" else {layout: LAYOUTS[layout]}
    fitting = {name: root for name, each in candidates.items() if (root := each.find(path))}
    if len(fitting) > 1:
        raise DataError(f"{path} fits several layouts; choose one: {' or '.join(fitting)}")
    if not fitting:
        expected = "; ".join(f"{name}: {each.expects}" for name, each in candidates.items())
        raise DataError(f"{path} is not laid out as a labelled data set. {expected}")
    return next(iter(fitting.items()))
