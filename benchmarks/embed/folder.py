"""Embedding a folder, as `paka embed FOLDER` does, beside the bare model."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.embed.bare import SIZE, Bare
from benchmarks.measure import in_turn
from paka.data.folder import ImageFiles
from paka.features import extract_dataset
from paka.options import FeatureOptions

BATCH = 32


def bulk(bare: Bare, paths: Sequence[Path], repeats: int) -> dict[str, list[float]]:
    """Seconds for all images, by `service` (decoding, computing and writing) and `bare`, in turn.

    Args:
        paths: as many as the bare model has pixels of.
    """

    def embed() -> None:
        folder = Path(tempfile.mkdtemp(prefix="paka-bulk-"))
        options = FeatureOptions.model_validate({"size": SIZE})
        images = ImageFiles(map(str, paths))
        extract_dataset(bare.encoder, images, options, folder, "bare", batch_size=BATCH)
        shutil.rmtree(folder)

    def compute() -> None:
        for start in range(0, len(paths), BATCH):
            bare.forward(start, min(BATCH, len(paths) - start))

    return in_turn({"service": embed, "bare": compute}, repeats)
