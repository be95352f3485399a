"""One evaluation: encoders by protocols by seeds, each part stored as soon as it is done.

metrics.jsonl           how far it is
findings/….npz          what each part found; an interrupted evaluation does not repeat it
features/               features of the encoders, unless they are kept elsewhere; gone in the end
report.json .md .html   see `paka.evaluation.report` and `paka.evaluation.page`
"""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from paka.distributed import Processes
from paka.encoder import DenseEncoder
from paka.evaluation import measure
from paka.evaluation.config import EvaluateConfig, Protocol
from paka.evaluation.datasets import Split, fingerprint, open_labelled
from paka.evaluation.inputs import SplitInputs, split_inputs
from paka.evaluation.measure import Measured, Progress, Sample, repeats
from paka.evaluation.meter import Meter, Stopped
from paka.evaluation.page import write_page
from paka.evaluation.report import Measurement, make_report, write_report
from paka.evaluation.report_schema import EncoderEntry, Part, Report
from paka.evaluation.scores import Finding, load_finding, save_finding
from paka.process import StopFlag
from paka.run_folder import RunFolder
from paka.weights import weights_sha256

__all__ = ["Evaluation", "Stopped"]

log = logging.getLogger(__name__)

_MEASURES: dict[Protocol, Callable[[Sample, int, Progress], Measured]] = {
    "in_context": measure.in_context,
    "linear": measure.linear,
    "overclustering": measure.overclustering,
    "knn": measure.knn,
    "probes": measure.probes,
}


class _Work(NamedTuple):
    """One part: its result is, or will be, in the file `path`."""

    protocol: Protocol
    seed: int
    path: Path


class Evaluation:
    """One evaluation, from its settings to its report.

    Args:
        config: what to do.
        run: where to write; what an interrupted evaluation found there is not measured again.
        stop: set it, from a signal or another thread, to leave.

    Raises:
        DataError: the data set cannot be read.
    """

    def __init__(
        self, config: EvaluateConfig, run: RunFolder, stop: StopFlag | None = None
    ) -> None:
        self.config, self.run_folder = config, run
        self.data = open_labelled(Path(config.dataset), config.layout)
        self.train = self.data.train.at_most(config.train_images)
        self.val = self.data.val.at_most(config.val_images)
        self.device = Processes().device(config.runtime.device)
        self.cache = Path(config.cache) if config.cache else run.path / "features"
        run.path.mkdir(parents=True, exist_ok=True)
        each = 1 + sum(len(repeats(protocol, config)) for protocol in config.protocols)
        self.meter = Meter(run, each * len(config.encoders), StopFlag() if stop is None else stop)
        self.seconds: list[Part] = []

    def run(self) -> Report:
        """Measure what is still to be measured, and write the report.

        Raises:
            Stopped: asked to; the same evaluation goes on where it was.
            DataError, EncoderError: as their names say.
        """
        entries, found = self.measure()
        report = make_report(self.config, self.data, entries, found, self.seconds)
        write_report(self.run_folder.path, report)
        write_page(self.run_folder.path, report, self.val, found)
        if self.config.cache is None:
            shutil.rmtree(self.cache, ignore_errors=True)
        return report

    def measure(self) -> tuple[list[EncoderEntry], list[Measurement]]:
        """Measure what is still to be measured, for other reports than `run` writes.

        Raises:
            Stopped, DataError, EncoderError: see `run`.
        """
        entries: list[EncoderEntry] = []
        found: list[Measurement] = []
        for index, name in enumerate(self.config.encoder_names):
            entry, measurements = self._measure(index, name)
            entries.append(entry)
            found += measurements
        return entries, found

    def _measure(self, index: int, name: str) -> tuple[EncoderEntry, list[Measurement]]:
        """All parts of one encoder."""
        config = self.config.encoders[index]
        encoder = self._load(index)
        sha256 = weights_sha256(encoder.vit)
        if index == 0:
            self._base, self._base_sha256 = encoder, sha256
        work = list(self._work(sha256))
        sample = self._sample(encoder, name, work)
        measurements = []
        for protocol, seed, path in work:
            self.meter.begin(name, protocol)
            finding = self._find(sample, protocol, seed, path)
            self.seconds.append(Part(encoder=name, part=protocol, seconds=finding.seconds))
            measurements.append(Measurement(name, protocol, seed, finding))
        entry = EncoderEntry(name=name, reference=config.reference, weights_sha256=sha256)
        return entry, measurements

    def _find(self, sample: Sample | None, protocol: Protocol, seed: int, path: Path) -> Finding:
        if path.exists():
            self.meter.skip()
            return load_finding(path)
        assert sample is not None  # made whenever a part is missing
        begun = time.monotonic()
        measured = _MEASURES[protocol](sample, seed, self.meter.update)
        finding = Finding(*measured, time.monotonic() - begun)
        save_finding(path, finding)
        self.meter.end()
        log.info("%s seed %d: %.1f s", protocol, seed, finding.seconds)
        return finding

    def _sample(self, encoder: DenseEncoder, name: str, work: list[_Work]) -> Sample | None:
        """The encoder's features of the data set; None if nothing is left to be measured."""
        self.meter.begin(name, "features")
        if all(part.path.exists() for part in work):
            self.meter.skip()
            return None
        begun, halves = time.monotonic(), measure.parts(self.meter.update, 2)
        train = self._inputs(encoder, self.train, next(halves))
        val = self._inputs(encoder, self.val, next(halves))
        labels = None
        if self.train.labels is not None and self.val.labels is not None:
            labels = (self.train.labels, self.val.labels)
        seconds = time.monotonic() - begun
        self.seconds.append(Part(encoder=name, part="features", seconds=seconds))
        self.meter.end()
        return Sample(
            encoder=encoder,
            base=self._base,
            images=self.val.images,
            train=train,
            val=val,
            labels=labels,
            num_classes=len(self.data.classes),
            settings=self.config,
            device=self.device.type,
        )

    def _inputs(self, encoder: DenseEncoder, split: Split, progress: Progress) -> SplitInputs:
        runtime = self.config.runtime
        return split_inputs(
            encoder,
            split,
            self.config.size,
            device=self.device,
            batch=runtime.batch_size,
            workers=runtime.workers,
            cache=self.cache,
            progress=progress,
        )

    def _load(self, index: int) -> DenseEncoder:
        encoder = DenseEncoder.from_config(self.config.encoders[index])
        return encoder.eval().requires_grad_(False)

    def _work(self, sha256: str) -> Iterator[_Work]:
        """The parts of the encoder with these weights, named by all that their results hang on."""
        settings = self.config.model_dump(mode="json")
        for protocol in self.config.protocols:
            about = [sha256, self._data_key, self.config.size, protocol, settings.get(protocol)]
            about += [self._base_sha256] if protocol == "probes" else []
            for seed in repeats(protocol, self.config):
                key = hashlib.sha256(json.dumps([*about, seed]).encode()).hexdigest()[:16]
                path = self.run_folder.path / "findings" / f"{protocol}-{seed}-{key}.npz"
                yield _Work(protocol, seed, path)

    @cached_property
    def _data_key(self) -> str:
        splits = (self.train, self.val)
        files = [file for split in splits for file in (*split.images, *split.masks)]
        labels = [None if split.labels is None else split.labels.tolist() for split in splits]
        about = json.dumps([fingerprint(files), self.data.classes, labels])
        return hashlib.sha256(about.encode()).hexdigest()
