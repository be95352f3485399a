"""A report as one page of HTML that needs nothing else: its table, and what each encoder sees.

The page holds no script and refers to nothing outside: it can be sent by mail, and shown under a
strict content security policy.
"""

import base64
import io
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from paka.data.decode import decode
from paka.evaluation import report as words
from paka.evaluation.colours import class_colours
from paka.evaluation.datasets import IGNORE, Split
from paka.evaluation.measure import shown_images
from paka.evaluation.report import Measurement
from paka.evaluation.report_schema import FILES, Report, Result
from paka.files import replacing

_SIDE = 360  # of a picture, in pixels
_STYLE = (Path(__file__).with_name("page.css")).read_text()
_SOURCES = {"in_context": "in-context", "linear": "linear"}


class _Row(NamedTuple):
    """One image of the page: its photograph, and by title its classes, uint8 (H, W)."""

    name: str
    photo: Image.Image
    masks: dict[str, np.ndarray]


def write_page(folder: Path, report: Report, val: Split, found: Sequence[Measurement]) -> None:
    """Write report.html in one piece.

    Args:
        val: the images that were measured on.
        found: in-context predictions are shown, else linear ones, else the truth alone.

    Raises:
        DataError: an image or a mask that can no longer be read.
    """
    with replacing(folder / FILES["html"]) as aside:
        aside.write_text(make_page(report, val, found), "utf-8")


def make_page(report: Report, val: Split, found: Sequence[Measurement]) -> str:
    """The page's HTML; see `write_page`."""
    source, predictions = _predictions(report, found)
    shown = [
        _row(val, int(index), {name: maps[place] for name, maps in predictions.items()})
        for place, index in enumerate(shown_images(len(val)))
    ]
    title = escape(words.title(report))
    body = "".join(
        (
            f"<h1>{title}</h1><p>{escape(words.summary(report))}</p>",
            _table(report),
            *(f'<p class="note">{escape(note)}.</p>' for note in report.notes),
            _classes(report),
            _gallery(report, source, shown),
            _about(report),
        )
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><main>{body}</main></body>"
        "</html>\n"
    )


def _predictions(report: Report, found: Sequence[Measurement]) -> tuple[str, dict[str, np.ndarray]]:
    """Which protocol's predictions are shown, and those of each encoder under the first seed."""
    for protocol, name in _SOURCES.items():
        maps: dict[str, np.ndarray] = {}
        for item in found:
            pictures = item.finding.pictures
            if item.protocol == protocol and pictures is not None:
                maps.setdefault(item.encoder, pictures)
        if len(maps) == len(report.encoders):
            return name, maps
    return "", {}


def _row(val: Split, index: int, predictions: dict[str, np.ndarray]) -> _Row:
    photo = decode(val.images[index])
    photo.thumbnail((_SIDE, _SIDE))
    maps = {"truth": val.read_mask(index), **predictions}
    # Predictions are square, as the encoder's input is: back to the photograph's shape.
    masks = {
        title: np.array(Image.fromarray(classes).resize(photo.size, Image.Resampling.NEAREST))
        for title, classes in maps.items()
    }
    return _Row(val.images[index].name, photo, masks)


def _table(report: Report) -> str:
    heads = "".join(
        f'<th scope="col">{escape(entry.name)}{"<small>base</small>" if not index else ""}</th>'
        for index, entry in enumerate(report.encoders)
    )
    lines = "".join(_line(row) for row in words.rows(report))
    return (
        '<div class="wide"><table><thead><tr><th></th>'
        f"{heads}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _line(row: words.Row) -> str:
    cells = "".join(f"<td>{_cell(result)}</td>" for result in row.cells)
    return f'<tr><th scope="row">{escape(row.label)}</th>{cells}</tr>'


def _cell(result: Result | None) -> str:
    if result is None:
        return ""
    text = words.estimate(result, result.unit)
    value, _, spread = text.partition(" ± ")
    html = f"<b>{value}</b>" + (f" <i>± {spread}</i>" if spread else "")
    if result.difference is None:
        return html
    change = words.estimate(result.difference, result.unit, signed=True)
    kind = "same"
    if words.is_clear(result.difference):
        kind = "up" if result.difference.value > 0 else "down"
    return f'{html}<span class="{kind}">{change}</span>'


def _classes(report: Report) -> str:
    """IoU of each class, as bars; folded away."""
    results = [
        result
        for result in report.results
        if (result.protocol, result.metric) in (("in_context", "miou_strict"), ("linear", "miou"))
    ]
    first = results[0].protocol if results else None
    results = [result for result in results if result.protocol == first]
    if not results:
        return ""
    heads = "".join(f'<th scope="col">{escape(result.encoder)}</th>' for result in results)
    colours = class_colours(len(report.classes))
    lines = "".join(
        f'<tr><th scope="row">{_swatch(colours[index])}{escape(name)}</th>'
        + "".join(_bar(result, index) for result in results)
        + "</tr>"
        for index, name in enumerate(report.classes)
    )
    return (
        f"<details><summary>IoU of each class ({escape(words.label(results[0]))})</summary>"
        f'<div class="wide"><table class="bars"><thead><tr><th></th>{heads}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div></details>"
    )


def _bar(result: Result, index: int) -> str:
    value = None if result.per_class is None else result.per_class[index]
    if value is None:
        return "<td>&ndash;</td>"
    share = f"{100 * value:.1f}"
    return f'<td><span class="bar" style="--share:{share}%">{share}</span></td>'


def _gallery(report: Report, source: str, shown: Sequence[_Row]) -> str:
    colours = class_colours(len(report.classes))
    heading = f"Images, truth and {source} predictions" if source else "Images and truth"
    choices = "".join(
        f'<input type="radio" name="blend" id="{name}"{" checked" if name == "classes" else ""}>'
        f'<label for="{name}">{name}</label>'
        for name in ("classes", "blend", "photographs")
    )
    figures = "".join(_figures(row, colours, len(report.encoders)) for row in shown)
    return (
        f'<section class="gallery"><h2>{heading}</h2><div class="choice">{choices}</div>'
        f"{_legend(report, shown, colours)}{figures}</section>"
    )


def _legend(report: Report, shown: Sequence[_Row], colours: np.ndarray) -> str:
    """The classes that the pictures show."""
    seen = {int(index) for row in shown for mask in row.masks.values() for index in np.unique(mask)}
    items = [
        f"<li>{_swatch(colours[index])}{escape(report.classes[index])}</li>"
        for index in sorted(seen - {IGNORE})
    ]
    if IGNORE in seen:
        items.append('<li><span class="swatch none"></span>not labelled</li>')
    return f'<ul class="legend">{"".join(items)}</ul>'


def _figures(row: _Row, colours: np.ndarray, encoders: int) -> str:
    width, height = row.photo.size
    pictures = "".join(_figures_of(row, colours))
    return (
        f'<div class="row" style="--photo:url({_jpeg(row.photo)});--shape:{width}/{height};'
        f'--columns:{2 + encoders}">'
        f'<figure><div class="photo" role="img" aria-label="{escape(row.name)}"></div>'
        f"<figcaption>{escape(row.name)}</figcaption></figure>{pictures}</div>"
    )


def _figures_of(row: _Row, colours: np.ndarray) -> Iterator[str]:
    for title, mask in row.masks.items():
        yield (
            f'<figure><div class="photo"><img src="{_png(mask, colours)}" '
            f'alt="{escape(title)} of {escape(row.name)}"></div>'
            f"<figcaption>{escape(title)}</figcaption></figure>"
        )


def _about(report: Report) -> str:
    encoders = "".join(
        f"<dt>{escape(entry.name)}</dt><dd>{escape(entry.reference)}<br>"
        f"<code>{escape(entry.weights_sha256)}</code></dd>"
        for entry in report.encoders
    )
    versions = ", ".join(f"{name} {number}" for name, number in report.versions.items())
    seconds = sum(part.seconds for part in report.seconds)
    return (
        f"<footer><dl>{encoders}</dl><p>Made on {report.created_at:%d %B %Y} in "
        f"{seconds:.0f} seconds with {escape(versions)}. All numbers are in "
        f"{FILES['json']}.</p></footer>"
    )


def _swatch(colour: np.ndarray) -> str:
    return f'<span class="swatch" style="background:rgb({",".join(map(str, colour))})"></span>'


def _jpeg(photo: Image.Image) -> str:
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=82)
    return _data_url("jpeg", file)


def _png(mask: np.ndarray, colours: np.ndarray) -> str:
    """Classes as colours; where they are not known, the photograph shows through."""
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(colours)] = colours
    picture = Image.fromarray(mask)
    picture.putpalette(palette.tobytes())
    file = io.BytesIO()
    picture.save(file, "PNG", transparency=IGNORE, optimize=True)
    return _data_url("png", file)


def _data_url(kind: str, file: io.BytesIO) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
