"""The process of an embedding job: `python -m paka.embed_folder --run FOLDER`.

Reads config.json, writes features/, and metrics.jsonl with steps that are images. Stopped or
killed, it goes on from its last whole shard. SIGTERM: leave after the batch. Exit codes: 0
finished, 3 stopped, 1 error (what it was is in the run's outcome.json).
"""

import argparse
import logging
import time
from pathlib import Path

from paka.process import StopFlag, die_in_silence, die_with_parent, leave, quick_imports

with quick_imports():
    from pydantic import Field

    from paka.choices import FeatureFormat
    from paka.config import EncoderConfig, Settings
    from paka.data.images import open_images
    from paka.data.unreadable import SkippedImages
    from paka.distributed import Processes
    from paka.encoder import DenseEncoder
    from paka.explain import explain
    from paka.features import extract_dataset
    from paka.memory import is_out_of_memory
    from paka.options import FeatureOptions
    from paka.run_folder import EXIT_CODES, Outcome, RunFolder

log = logging.getLogger("paka.embed_folder")

_METRICS_SECONDS = 1.0


class EmbedFolderConfig(Settings):
    """One embedding job, complete: whose features, of which data set, and how."""

    encoder: EncoderConfig
    dataset: str = Field(min_length=1, description="See `paka.data.images`.")
    options: FeatureOptions = Field(default_factory=lambda: FeatureOptions.model_validate({}))
    format: FeatureFormat = Field("safetensors", description="Format of the files.")
    batch_size: int = Field(32, ge=1, le=1024, description="Images at once.")
    workers: int = Field(2, ge=0, le=128, description="Image loading processes.")
    max_unreadable: float = Field(
        0.05, ge=0, le=1, description="Largest share of images that may be unreadable, and skipped."
    )
    reference: str | None = Field(None, description="What the index calls the encoder.")


class Meter:
    """Writes how far the job is into the run's metrics.jsonl, a line a second at most."""

    def __init__(self, run: RunFolder, batch_size: int) -> None:
        self.run, self.batch_size = run, batch_size
        self.done = 0
        self._from, self._since = 0, time.monotonic()
        self._written_at = float("-inf")

    def update(self, done: int, total: int) -> None:
        """`done` of `total` images are done. More than a batch at once was there before."""
        now = time.monotonic()
        if done - self.done > self.batch_size:
            self._from, self._since = done, now
        if self.done == 0:
            self.run.forget_metrics_after(done - 1)
        new, self.done = done > self.done, done
        if not new or (done < total and now - self._written_at < _METRICS_SECONDS):
            return
        self._written_at = now
        speed = (done - self._from) / max(now - self._since, 1e-6)
        self.run.append_metrics(
            {
                "step": done,
                "total_steps": total,
                "images_per_second": speed,
                "eta_seconds": (total - done) / speed if speed else 0.0,
            }
        )


def main(arguments: list[str] | None = None) -> int:
    """Do the run's job; how it ended is in outcome.json, and the exit code says so too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder with config.json")
    run = RunFolder(parser.parse_args(arguments).run)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    die_with_parent()
    die_in_silence()
    stop = StopFlag().install()
    with run.locked():
        run.forget_ending()
        outcome = embed(run, stop)
        run.write_outcome(outcome)
    return EXIT_CODES[outcome.outcome]


def embed(run: RunFolder, stop: StopFlag) -> Outcome:
    """Extract; whatever goes wrong becomes an outcome that says so."""
    meter: Meter | None = None
    try:
        config = EmbedFolderConfig.model_validate_json(run.config.read_text())
        meter = Meter(run, config.batch_size)
        finished = extract(config, run, meter, stop)
    except Exception as error:
        log.exception("embedding failed")
        message = explain(error)
        if is_out_of_memory(error):
            message = f"out of memory: lower batch_size or options.size ({error})"
    else:
        return Outcome("finished" if finished else "stopped", meter.done)
    return Outcome("failed", meter.done if meter else 0, message)


def extract(config: EmbedFolderConfig, run: RunFolder, meter: Meter, stop: StopFlag) -> bool:
    """Write the features; False if stopped. Raises what `open_images` and `extract_dataset` do."""
    images = open_images(Path(config.dataset))
    skipped = SkippedImages(run.skipped, len(images), config.max_unreadable)
    device = Processes().device("auto")
    encoder = DenseEncoder.from_config(config.encoder).eval().requires_grad_(False).to(device)
    log.info("embedding %s with %s on %s", config.dataset, config.encoder.reference, device)
    return extract_dataset(
        encoder,
        images,
        config.options,
        run.features,
        config.reference or config.encoder.reference,
        form=config.format,
        batch_size=config.batch_size,
        workers=config.workers,
        skip=skipped.add,
        progress=meter.update,
        stop=lambda: bool(stop),
    )


if __name__ == "__main__":
    leave(main())
