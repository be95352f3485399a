"""The plain layout, which any data set can be brought to.

images/{train,val}/…     photographs, also in sub-folders
masks/{train,val}/…      PNG of the same name: a class index for each pixel, 255 = ignore
classes.txt              optional: a class name per line, in the order of the indices
labels.csv               optional: columns split,image,label, a row for each image, which is named
                         by its path in images/{split} without the suffix
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from paka.data.folder import list_images
from paka.errors import DataError
from paka.evaluation.datasets.base import (
    IGNORE,
    LabelledImages,
    Layout,
    first_with,
    make_lookup,
    make_split,
    require_files,
)
from paka.evaluation.datasets.masks import read_indices

_SPLITS = ("train", "val")
_COLUMNS = ("split", "image", "label")

Images = Mapping[str, Mapping[str, Path]]  # by split, then by name


def _find(root: Path) -> Path | None:
    return first_with(root, (), ("images/train", "images/val", "masks/train", "masks/val"))


def _read(root: Path) -> LabelledImages:
    images = {split: _by_name(root / "images" / split) for split in _SPLITS}
    masks = {
        path: root / "masks" / split / f"{name}.png"
        for split in _SPLITS
        for name, path in images[split].items()
    }
    classes = _class_names(root / "classes.txt") or _numbers([*masks.values()])
    lookup = make_lookup({index: index for index in range(len(classes))})
    label_names, labels = _labels(root / "labels.csv", images)
    train, val = (
        make_split([*images[split].values()], masks.__getitem__, lookup, labels.get(split))
        for split in _SPLITS
    )
    return LabelledImages(root.resolve().name, "plain", classes, train, val, label_names)


def _by_name(folder: Path) -> dict[str, Path]:
    """Images by their path in the folder without the suffix."""
    found: dict[str, Path] = {}
    for path in list_images(folder):
        name = str(path.relative_to(folder).with_suffix(""))
        if name in found:
            raise DataError(f"{found[name]} and {path} would share one mask; rename one of them")
        found[name] = path
    return found


def _class_names(file: Path) -> tuple[str, ...]:
    if not file.exists():
        return ()
    names = tuple(line.strip() for line in _text(file).rstrip().split("\n"))
    if "" in names or len(set(names)) < len(names) or len(names) > IGNORE:
        raise DataError(f"{file} must hold 1 … {IGNORE} different names, one per line")
    return names


def _numbers(masks: Sequence[Path]) -> tuple[str, ...]:
    """Names of the classes that the masks show, when nobody has named them: their indices."""
    require_files("masks", masks)
    highest = -1
    for mask in masks:
        values = read_indices(mask)
        shown = values[values != IGNORE]
        highest = max(highest, int(shown.max()) if shown.size else -1)
    if highest < 0:
        raise DataError("every pixel of every mask is 255, which means ignore: there is no class")
    return tuple(str(index) for index in range(min(highest + 1, IGNORE)))


def _labels(file: Path, images: Images) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """Names of the images' classes, and for each split the class of each of its images."""
    if not file.exists():
        return (), {}
    given = _rows(file)
    wanted = {(split, name) for split in _SPLITS for name in images[split]}
    for difference, what in (
        (wanted - given.keys(), "has no row for"),
        (given.keys() - wanted, "names an image that does not exist:"),
    ):
        if difference:
            raise DataError(f"{file} {what} {'/'.join(min(difference))}")
    names = sorted(set(given.values()))
    index = {name: number for number, name in enumerate(names)}
    return tuple(names), {
        split: np.array([index[given[split, name]] for name in images[split]]) for split in _SPLITS
    }


def _rows(file: Path) -> dict[tuple[str, str], str]:
    reader = csv.DictReader(_text(file).splitlines())
    if not set(_COLUMNS) <= set(reader.fieldnames or ()):
        raise DataError(f"{file} needs the columns {','.join(_COLUMNS)}")
    rows: dict[tuple[str, str], str] = {}
    for row in reader:
        split, image, label = (row[column] or "" for column in _COLUMNS)
        if not label:
            raise DataError(f"{file} has no label in line {reader.line_num}")
        if (split, image) in rows:
            raise DataError(f"{file} has two rows for {split}/{image}")
        rows[split, image] = label
    return rows


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")  # with or without the mark that spreadsheets put first
    except UnicodeDecodeError as error:
        raise DataError(f"{file} must be text in UTF-8: {error}") from None


PLAIN = Layout("images/{train,val} and masks/{train,val} with PNG masks", _find, _read)
