"""The process of a bulk embedding job: `python -m paka.embed_folder --run FOLDER`.

Reads the run's config.json and writes features/, in the manner of a training run: metrics.jsonl
counts images, outcome.json says how it ended, SIGTERM leaves whole shards, and a new start goes on
from there.
"""

import argparse
import logging
import sys
import time
from pathlib import Path

import torch
from pydantic import Field

from paka.config import EncoderConfig, Settings
from paka.encoder import DenseEncoder
from paka.errors import PakaError
from paka.features import extract_folder
from paka.options import FeatureOptions
from paka.process import StopFlag, die_with_parent
from paka.run_folder import EXIT_CODES, Outcome, RunFolder

log = logging.getLogger("paka.embed_folder")


class EmbedFolderConfig(Settings):
    """One bulk embedding."""

    encoder: EncoderConfig = Field(description="The encoder.")
    dataset: str = Field(min_length=1, description="Folder of images.")
    options: FeatureOptions = Field(description="Which features.")
    batch_size: int = Field(32, ge=1, le=4096, description="Images in one forward pass.")
    workers: int = Field(2, ge=0, le=128, description="Image loading processes.")
    reference: str | None = Field(None, description="What the index calls the encoder.")


def main(arguments: list[str] | None = None) -> int:
    """Embed the run's folder; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder with config.json")
    run = RunFolder(parser.parse_args(arguments).run)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    die_with_parent()
    stop = StopFlag().install()
    with run.locked():
        outcome = embed(run, stop)
        run.write_outcome(outcome)
    return EXIT_CODES[outcome.outcome]


def embed(run: RunFolder, stop: StopFlag) -> Outcome:
    """Do it; whatever goes wrong becomes an outcome that says so."""
    counter = _Counter(run)
    try:
        config = EmbedFolderConfig.model_validate_json(run.config.read_text())
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        encoder = DenseEncoder.from_config(config.encoder).eval().to(device)
        finished = extract_folder(
            encoder,
            Path(config.dataset),
            config.options,
            run.path / "features",
            config.reference or config.encoder.reference,
            batch_size=config.batch_size,
            workers=config.workers,
            progress=counter,
            stop=lambda: bool(stop),
        )
    except Exception as error:
        log.exception("embedding failed")
        known = isinstance(error, PakaError | ValueError)
        # An error from a loading process carries its traceback; the last line is ours.
        reason = str(error).strip().splitlines()[-1] if known else repr(error)
        return Outcome("failed", counter.done, reason)
    return Outcome("finished" if finished else "stopped", counter.done)


class _Counter:
    """Writes a metrics line about once a second, and one at the end."""

    def __init__(self, run: RunFolder) -> None:
        self.run, self.done = run, 0
        self._first: tuple[int, float] | None = None
        self._written_at = 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        self._first = self._first or (self.done, now)
        self.done = done
        if now - self._written_at < 1 and done < total:
            return
        self._written_at = now
        rate = (done - self._first[0]) / max(now - self._first[1], 1e-9)
        self.run.append_metrics(
            {
                "step": done,
                "total_steps": total,
                "images_per_second": rate,
                "eta_seconds": (total - done) / rate if rate else None,
            }
        )


if __name__ == "__main__":
    sys.exit(main())
