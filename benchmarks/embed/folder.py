"""Embedding a folder, as `paka embed FOLDER` does, beside the bare model."""

import itertools
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


def bulk(bare: Bare, paths: Sequence[Path], count: int, repeats: int) -> dict[str, list[float]]:
    """Images a second, by `service` (decoding, computing and writing) and `bare`, in turn.

    Args:
        paths: of which `count` are taken, over and over.
    """
    chosen = list(itertools.islice(itertools.cycle(paths), count))

    def embed() -> None:
        folder = Path(tempfile.mkdtemp(prefix="paka-bulk-"))
        options = FeatureOptions.model_validate({"size": SIZE})
        images = ImageFiles(map(str, chosen))
        extract_dataset(bare.encoder, images, options, folder, "bare", batch_size=BATCH)
        shutil.rmtree(folder)

    def compute() -> None:
        for start in range(0, count, BATCH):
            bare.forward(start, min(BATCH, count - start))

    seconds = in_turn({"service": embed, "bare": compute}, repeats)
    return {name: [count / one for one in times] for name, times in seconds.items()}
