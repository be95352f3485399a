"""Pictures of features and of runs: arrays in, a matplotlib Figure out, nothing global touched."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]
Row = tuple[Array, Mapping[str, Array]]

_INK, _LINE, _FAINT, _SECOND = "#333333", "#1f5fa8", "#a9c4e4", "#c8692b"
_CELL_INCHES, _GAP_INCHES, _TITLE_INCHES = 3.2, 0.1, 0.2
_TITLE_POINTS, _LABEL_POINTS, _TITLE_CHARACTERS = 10, 9, 40
_DPI = 150


def pca_rgb(patch_tokens: Array) -> npt.NDArray[np.uint8]:
    """Colour each patch by the three principal components of the image's patches.

    Patches of one colour resemble each other; the colours themselves mean nothing. The picture
    does not change when the features are rotated or scaled as a whole.

    Args:
        patch_tokens: (h, w, D), finite.

    Returns:
        uint8 (h, w, 3); mid-grey where there is no difference to show.

    Raises:
        ValueError: not three dimensions, or a value that is not finite.
    """
    return _colours(_scores(patch_tokens))


def feature_picture(rows: Sequence[Row]) -> "Figure":
    """Draw each image beside the PCA maps of its features, one map for each encoder.

    Every encoder has its own components; those of the later ones are turned to the first's as
    closely as they can be, so that what looks alike is alike in both.

    Args:
        rows: for each image its pixels, uint8 (H, W, 3), and by title its patch tokens (h, w, D),
            which cover the whole of the image.

    Raises:
        ValueError: no rows, or tokens as in `pca_rgb`.
    """
    if not rows:
        raise ValueError("a feature picture needs at least one image")
    columns = 1 + max(len(maps) for _, maps in rows)
    cells = [_CELL_INCHES * pixels.shape[0] / pixels.shape[1] for pixels, _ in rows]
    titles = [_titles(row, rows[index - 1] if index else None) for index, row in enumerate(rows)]
    above = [_TITLE_INCHES * max((t.count("\n") + 1 for t in row), default=0) for row in titles]
    width = columns * (_CELL_INCHES + _GAP_INCHES) + _GAP_INCHES
    height = sum(cells) + sum(above) + (len(rows) + 1) * _GAP_INCHES
    figure = _figure(width, height)
    top = height
    for (pixels, maps), row_titles, cell, title_height in zip(
        rows, titles, cells, above, strict=True
    ):
        top -= _GAP_INCHES + title_height + cell
        for column, panel in enumerate((pixels, *_aligned_colours(list(maps.values())))):
            left = _GAP_INCHES + column * (_CELL_INCHES + _GAP_INCHES)
            place = (left / width, top / height, _CELL_INCHES / width, cell / height)
            axes = figure.add_axes(place)
            axes.imshow(panel, aspect="auto", interpolation="nearest" if column else "auto")
            axes.set_axis_off()
            if row_titles:
                axes.set_title(row_titles[column], fontsize=_TITLE_POINTS, color=_INK, pad=4)
    return figure


def loss_curve(rows: Sequence[Mapping[str, Any]], title: str = "") -> "Figure":
    """Draw a run's loss over its steps, and below it learning rates and throughput.

    Args:
        rows: lines of metrics.jsonl; of a step that comes twice, the later line counts.
        title: stands above the picture.

    Raises:
        ValueError: there is no line with a loss.
    """
    by_step = {row["step"]: row for row in rows if "loss" in row}
    if not by_step:
        raise ValueError("there is no loss to draw yet: no line of metrics has one")
    steps = sorted(by_step)
    lines = [by_step[step] for step in steps]
    figure = _figure(8.0, 5.2)
    grid = figure.add_gridspec(2, 2, height_ratios=(2.2, 1), hspace=0.34, wspace=0.22)
    grid.update(left=0.085, right=0.975, top=0.93 if title else 0.975, bottom=0.1)
    main = figure.add_subplot(grid[0, :])
    rates, speed = figure.add_subplot(grid[1, 0]), figure.add_subplot(grid[1, 1])
    main.set_title(title, fontsize=_TITLE_POINTS, color=_INK, loc="left")
    _draw_loss(main, steps, _column(lines, "loss"))
    for key, colour in (("lr_head", _SECOND), ("lr_encoder", _LINE)):
        label = key.removeprefix("lr_")
        rates.plot(steps, _column(lines, key), color=colour, lw=1.4, label=label)
    rates.ticklabel_format(axis="y", scilimits=(-2, 2))
    rates.legend(fontsize=_LABEL_POINTS - 1, frameon=False)
    speed.plot(steps, _column(lines, "images_per_second"), color=_LINE, lw=1.0)
    rates.set_ylim(bottom=0)
    speed.set_ylim(bottom=0)
    for axes, name in ((main, "loss"), (rates, "learning rate"), (speed, "images / s")):
        _tidy(axes, name, steps)
    figure.align_ylabels((main, rates))
    return figure


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((width, height), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _titles(row: Row, above: Row | None) -> list[str]:
    """The titles of a row's panels; none if the row above has the same."""
    if above is not None and list(above[1]) == list(row[1]):
        return []
    return [textwrap.fill(title, _TITLE_CHARACTERS) for title in ("image", *row[1])]


def _scores(patch_tokens: Array) -> npt.NDArray[np.float64]:
    """Scores (h, w, 3) on the first principal components, each of mean square one or all zero."""
    if patch_tokens.ndim != 3 or not np.isfinite(patch_tokens).all():
        raise ValueError(
            f"patch tokens must be finite and (h, w, D), got shape {patch_tokens.shape}"
        )
    height, width, dim = patch_tokens.shape
    tokens = patch_tokens.reshape(-1, dim).astype(np.float64)
    # Directions that hold nothing but rounding noise would be blown up to full colours.
    noise = np.finfo(np.float32).eps * np.abs(tokens).max()
    tokens -= tokens.mean(0)
    left, spread, _ = np.linalg.svd(tokens, full_matrices=False)
    kept = int((spread[:3] > noise * np.sqrt(len(tokens))).sum())
    scores = np.zeros((len(tokens), 3))
    scores[:, :kept] = left[:, :kept] * np.sqrt(len(tokens))
    signs = np.where((scores**3).sum(0) < 0, -1.0, 1.0)
    return (scores * signs).reshape(height, width, 3)


def _colours(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Stretch each component to 0 … 255, its outermost hundredths cut off."""
    low, high = np.percentile(scores, (1, 99), axis=(0, 1))
    flat = high - low <= 0
    unit = np.where(flat, 0.5, (scores - low) / np.where(flat, 1.0, high - low))
    return (unit.clip(0, 1) * 255).round().astype(np.uint8)


def _aligned_colours(maps: Sequence[Array]) -> list[npt.NDArray[np.uint8]]:
    """Colours of several maps of one image, the later ones' components turned to the first's."""
    scores = [_scores(tokens) for tokens in maps]
    turned = [_turned(own, scores[0]) if index else own for index, own in enumerate(scores)]
    return [_colours(own) for own in turned]


def _turned(
    scores: npt.NDArray[np.float64], like: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Rotate (or mirror) the components so that the map resembles `like`: orthogonal Procrustes."""
    height, width, _ = scores.shape
    rows = ((np.arange(height) + 0.5) * like.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * like.shape[1] / width).astype(int)
    target = like[rows[:, None], columns]
    left, _, right = np.linalg.svd(scores.reshape(-1, 3).T @ target.reshape(-1, 3))
    return np.asarray(scores @ (left @ right))


def _column(lines: Sequence[Mapping[str, Any]], key: str) -> npt.NDArray[np.float64]:
    """A value of every line; a gap where a line has none."""
    return np.array([line.get(key, np.nan) for line in lines], np.float64)


def _draw_loss(axes: "Axes", steps: Sequence[int], losses: npt.NDArray[np.float64]) -> None:
    smooth = _smoothed(losses)
    if smooth is None:
        axes.plot(steps, losses, color=_LINE, lw=1.6, marker=".")
        return
    axes.plot(steps, losses, color=_FAINT, lw=0.9, label="logged")
    axes.plot(steps, smooth, color=_LINE, lw=1.8, label="smoothed")
    axes.legend(fontsize=_LABEL_POINTS - 1, frameon=False)


def _smoothed(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64] | None:
    """Mean under a Gaussian window of a fortieth of the run to each side; None if too short."""
    if len(values) < 20:
        return None
    reach = max(len(values) / 40, 1.0)
    offsets = np.arange(-int(3 * reach), int(3 * reach) + 1)
    window = np.exp(-0.5 * (offsets / reach) ** 2)
    half = len(offsets) // 2
    total = np.convolve(values, window)[half:-half]
    return np.asarray(total / np.convolve(np.ones_like(values), window)[half:-half])


def _tidy(axes: "Axes", label: str, steps: Sequence[int]) -> None:
    """Plain axes: two spines, a light grid, whole steps."""
    axes.set_xlim(0, steps[-1])
    axes.set_xlabel("step", fontsize=_LABEL_POINTS, color=_INK)
    axes.set_ylabel(label, fontsize=_LABEL_POINTS, color=_INK)
    axes.locator_params(axis="x", integer=True)
    axes.yaxis.get_offset_text().set_fontsize(_LABEL_POINTS - 1)
    axes.tick_params(labelsize=_LABEL_POINTS - 1, colors=_INK, length=3)
    axes.grid(color="#e6e6e6", lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
