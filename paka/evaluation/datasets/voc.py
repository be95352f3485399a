"""PASCAL VOC 2012 segmentation: 21 classes; the border of objects, 255, is ignored.

`voc` has the official 1464 training images. `voc-aug` has the 10582 of SBD (Hariharan et al.,
"Semantic Contours from Inverse Detectors", 2011) in the form of the widespread SegmentationClassAug
and trainaug.txt, which in-context and linear segmentation are mostly reported with.
"""

from functools import partial
from pathlib import Path

from paka.evaluation.datasets.base import (
    LabelledImages,
    Layout,
    Split,
    first_with,
    make_lookup,
    make_split,
)

CLASSES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
_BELOW = ("VOC2012", "VOCdevkit/VOC2012")
_LISTS = "ImageSets/Segmentation"
_OFFICIAL = ("JPEGImages", "SegmentationClass", f"{_LISTS}/train.txt", f"{_LISTS}/val.txt")
_AUGMENTED = (*_OFFICIAL, "SegmentationClassAug", f"{_LISTS}/trainaug.txt")


def _find(root: Path, *, augmented: bool) -> Path | None:
    return first_with(root, _BELOW, _AUGMENTED if augmented else _OFFICIAL)


def _read(root: Path, *, augmented: bool) -> LabelledImages:
    if augmented:
        train = _split(root, "trainaug", "SegmentationClassAug")
        name, layout = "PASCAL VOC 2012 (trainaug)", "voc-aug"
    else:
        train = _split(root, "train", "SegmentationClass")
        name, layout = "PASCAL VOC 2012", "voc"
    return LabelledImages(name, layout, CLASSES, train, _split(root, "val", "SegmentationClass"))


def _split(root: Path, listed: str, masks: str) -> Split:
    lines = (root / _LISTS / f"{listed}.txt").read_text().split("\n")
    # Some trainaug.txt hold "/JPEGImages/2007_000032.jpg /SegmentationClassAug/2007_000032.png".
    names = [Path(line.split()[0]).stem for line in lines if line.strip()]
    return make_split(
        [root / "JPEGImages" / f"{name}.jpg" for name in names],
        lambda image: root / masks / f"{image.stem}.png",
        make_lookup({index: index for index in range(len(CLASSES))}),
    )


VOC = Layout(
    "JPEGImages, SegmentationClass and ImageSets/Segmentation/{train,val}.txt",
    partial(_find, augmented=False),
    partial(_read, augmented=False),
)
VOC_AUG = Layout(
    "the same, with SegmentationClassAug and ImageSets/Segmentation/trainaug.txt",
    partial(_find, augmented=True),
    partial(_read, augmented=True),
)
