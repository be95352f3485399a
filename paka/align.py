"""The region that a student crop shares with its teacher crop, on one grid from both maps."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from paka.views.pipeline import ViewBatch

Pairing = Literal["parent", "all"]
# A place on a teacher crop's border lies inside; float32 boxes are not exact to the last bit.
_TOLERANCE = 1e-4


class Aligned(NamedTuple):
    """Patches of both sides at the same N = grid * grid places of R pairs, row by row.

    `student` and `teacher` (R, N, D); `valid` (R, N) bool, False where the crops share nothing.
    """

    student: Tensor
    teacher: Tensor
    valid: Tensor


def align(
    student: Tensor, teacher: Tensor, batch: ViewBatch, grid: int, pairing: Pairing = "parent"
) -> Aligned:
    """Resample what each student crop and its teacher crop both show onto one grid.

    Args:
        student: (B, L, h, w, D), patch tokens of the student crops.
        teacher: (B, G, H, W, D), patch tokens of the teacher crops.
        batch: where the crops lie, which are mirrored, and which belong together.
        grid: places per side.
        pairing: "parent": the grid lies over the region that a student crop shares with its own
            teacher crop, R = B * L. "all": the grid lies over the whole student crop, which meets
            every teacher crop of its image, R = B * L * G; places that do not lie wholly in the
            teacher crop are not valid, nor is a pair with fewer than two that do.

    Returns:
        float32, R pairs, by image, student crop, teacher crop. Mirrored maps are turned back:
        place (row, column) is the same place of the image on both sides.
    """
    if pairing == "all":
        return _align_all(student, teacher, batch, grid)
    parents = batch.parents
    outer = batch.global_boxes.gather(1, parents[..., None].expand(-1, -1, 4))
    outer_flips = batch.global_flips.gather(1, parents)
    inner = batch.local_boxes
    low = torch.maximum(inner[..., :2], outer[..., :2])
    high = torch.minimum(inner[..., 2:], outer[..., 2:])
    shared = torch.stack([low, torch.maximum(low, high)], -2)  # (B, L, 2 corners, 2 axes)
    valid = (high > low).all(-1)

    images = torch.arange(len(parents), device=parents.device)[:, None]
    own = roi_align(student.flatten(0, 1), _relative(shared, inner), batch.local_flips, grid)
    maps = teacher[images, parents].flatten(0, 1)
    theirs = roi_align(maps, _relative(shared, outer), outer_flips, grid)
    return Aligned(own, theirs, valid.reshape(-1, 1).expand(-1, grid * grid))


def _align_all(student: Tensor, teacher: Tensor, batch: ViewBatch, grid: int) -> Aligned:
    inner, outer = batch.local_boxes[:, :, None], batch.global_boxes[:, None]
    pairs = (inner.shape[1], outer.shape[2])

    def spread(values: Tensor) -> Tensor:
        """(B, L or 1, G or 1, …) as (B, L * G, …)."""
        return values.expand(-1, *pairs, *values.shape[3:]).flatten(1, 2)

    inner, outer = spread(inner), spread(outer)
    whole = inner.unflatten(-1, (2, 2))
    corners = _relative(whole, outer)
    maps = spread(teacher[:, None]).flatten(0, 1)
    theirs = roi_align(maps, corners, spread(batch.global_flips[:, None]), grid)
    whole = batch.local_boxes.unflatten(-1, (2, 2))
    ends = _relative(whole, batch.local_boxes)
    own = roi_align(student.flatten(0, 1), ends, batch.local_flips, grid)
    own = own[:, None].expand(-1, pairs[1], -1, -1).flatten(0, 1)
    return Aligned(own, theirs, _inside(corners, grid))


def _inside(corners: Tensor, grid: int) -> Tensor:
    """Which places of a grid between corners (R, 2, 2) lie wholly in [0, 1]: (R, grid * grid).

    Where there is only one, none counts: a single place has no relation to compare.
    """
    steps = torch.arange(grid + 1, device=corners.device) / grid
    edges = corners[:, 0, :, None] + (corners[:, 1] - corners[:, 0])[..., None] * steps
    inside = (edges[..., :-1] >= -_TOLERANCE) & (edges[..., 1:] <= 1 + _TOLERANCE)
    valid = (inside[:, 1, :, None] & inside[:, 0, None]).flatten(1)
    return valid & (valid.sum(1, keepdim=True) >= 2)


def _relative(corners: Tensor, box: Tensor) -> Tensor:
    """Corners (B, L, 2, 2) in shares of their box (B, L, 4), as (B * L, 2, 2)."""
    origin, far = box[..., None, :2], box[..., None, 2:]
    return ((corners - origin) / (far - origin)).flatten(0, 1)


def roi_align(maps: Tensor, corners: Tensor, flips: Tensor, grid: int) -> Tensor:
    """RoI Align with the pixel-centre convention, as two products of small matrices.

    Equal to torchvision's `roi_align(aligned=True)` with enough samples to meet every cell, but
    its backward pass adds in a fixed order on every device, which an exact resume needs.

    Args:
        maps: (R, h, w, D).
        corners: (R, 2, 2), top left and bottom right (x, y), in shares of the map before it was
            mirrored.
        flips: any shape with R elements, bool: the map is mirrored left to right.
        grid: places per side of the result.

    Returns:
        (R, grid * grid, D) float32.
    """
    height, width = maps.shape[1:3]
    rows = _weights(corners[:, 0, 1], corners[:, 1, 1], height, grid)
    columns = _weights(corners[:, 0, 0], corners[:, 1, 0], width, grid)
    columns = torch.where(flips.reshape(-1, 1, 1), columns.flip(2), columns)
    with torch.autocast(maps.device.type, enabled=False):
        bands = rows @ maps.float().flatten(2)
        places = columns[:, None] @ bands.unflatten(2, (width, -1))
    return places.flatten(1, 2)


def _weights(start: Tensor, end: Tensor, cells: int, grid: int) -> Tensor:
    """How much each of `cells` counts at each of `grid` places: (R, grid, cells), rows sum to 1.

    `start` and `end` (R,) in shares of the axis. Each place averages the samples of its bin;
    between two cell centres a sample is interpolated, beyond the outermost it is the cell's.
    """
    samples = -(-cells // grid)
    steps = torch.arange(grid * samples, device=start.device) + 0.5
    at = start[:, None] + (end - start)[:, None] * (steps / (grid * samples))
    at = (at * cells - 0.5).clamp(0, cells - 1)
    centres = torch.arange(cells, device=start.device)
    weights = (1 - (at[..., None] - centres).abs()).clamp_min(0)
    return weights.unflatten(1, (grid, samples)).mean(2)
