"""The sync client."""

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack

import httpx

from service.client import operations as ops
from service.client.call import Call, id_of
from service.client.connection import RETRIES, TIMEOUT_SECONDS, chosen, http_options
from service.client.errors import PakaError
from service.client.features import Features, join
from service.client.following import PASSING, SILENCE_SECONDS, Following, Patience
from service.client.images import Batch, ImageLike, batches, count
from service.client.inflight import in_threads
from service.client.methods import blocking, blocking_pages
from service.client.operations.embedding import BATCH, CONCURRENCY, FeatureOptions
from service.client.operations.training import Visibility
from service.client.packing import archive_of, name_of, size_of
from service.client.progress import tracking
from service.client.retries import Retries
from service.client.saving import cached_weights, check_place, saving
from service.client.schemas import Checkpoint, Encoder, Event, Job, UploadedDataset
from service.client.transport import Transport

if TYPE_CHECKING:
    from service.client.timm_model import TimmModel


class PakaClient:
    """The service from Python; `AsyncPakaClient` is the same without blocking.

    Jobs, encoders and data sets are given by their ids, or as the objects that other calls return.
    Requests that fail on the way are sent again, without ever making two jobs of one.

    Args:
        url: of the service; default: PAKA_URL, else what `paka remote login` kept, else
            http://127.0.0.1:8000.
        key: yours; default: PAKA_KEY, else what `paka remote login` kept for this service.
        timeout: seconds without a byte from the service.
        retries: how often a request is sent again.
        transport: of httpx, instead of real connections.

    Example:
        >>> with PakaClient() as client:
        ...     job = client.wait(client.train("photos", preset="tiny"))
        ...     features = client.embed(["cat.jpg"], encoder=job.encoder, size=448)
        ...     features.patch_tokens  # (1, 28, 28, 192)
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout: float = TIMEOUT_SECONDS,
        retries: int | Retries = RETRIES,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        http = httpx.Client(**http_options(url, key, timeout), transport=transport)
        self._transport = Transport(http, chosen(retries))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all connections."""
        self._transport.http.close()

    @property
    def url(self) -> str:
        """Of the service."""
        return str(self._transport.http.base_url).rstrip("/")

    train = blocking(ops.training.train)
    dry_run = blocking(ops.training.dry_run)
    evaluate = blocking(ops.training.evaluate)
    embed_dataset = blocking(ops.training.embed_dataset)

    job = blocking(ops.jobs.job)
    jobs = blocking_pages(ops.jobs.jobs)
    cancel = blocking(ops.jobs.cancel)
    resume = blocking(ops.jobs.resume)
    delete = blocking(ops.jobs.delete)
    update = blocking(ops.jobs.update)
    checkpoints = blocking(ops.jobs.checkpoints)
    metrics = blocking(ops.jobs.metrics)
    metric_rows = blocking(ops.jobs.metric_rows)
    log = blocking(ops.jobs.log)
    report = blocking(ops.jobs.report)
    report_text = blocking(ops.jobs.report_text)
    feature_index = blocking(ops.jobs.feature_index)

    encoder = blocking(ops.encoders.encoder)
    encoders = blocking_pages(ops.encoders.encoders)
    dataset = blocking(ops.datasets.dataset)
    datasets = blocking_pages(ops.datasets.datasets)
    delete_dataset = blocking(ops.datasets.delete_dataset)
    cluster = blocking(ops.cluster.cluster)
    ready = blocking(ops.cluster.ready)
    me = blocking(ops.cluster.me)

    def wait(self, job: Job | str, *, progress: bool | None = None) -> Job:
        """Wait until a job has ended; the job as it is then.

        To stop waiting, by Ctrl-C for instance, does not stop the job.

        Args:
            progress: show a bar; None: in a terminal or a notebook only.

        Raises:
            JobFailed, JobCancelled: it did not succeed.
        """
        with tracking(progress, id_of(job)) as tracker:
            # Where no stream comes through, the job itself can still be asked for.
            following = Following(job, patience=Patience(SILENCE_SECONDS))
            try:
                for event in self._events(following):
                    tracker.event(event)
            except PASSING:
                self._transport.run(ops.jobs.until_ended(job, tracker.job))
        return self._transport.run(ops.jobs.succeeded(job))

    def events(self, job: Job | str, *, after: int = 0) -> Iterator[Event]:
        """What has happened to a job, and what happens, until it has ended.

        A connection that breaks is made again, and no event is lost or comes twice.

        Args:
            after: id of the last event that you have seen.
        """
        return self._events(Following(job, after))

    def _events(self, following: Following) -> Iterator[Event]:
        while True:
            try:
                with self._transport.stream(following.call()) as response:
                    if following.is_over(response):
                        return
                    for line in response.iter_lines():
                        if event := following.read(line, response):
                            yield event
                pause = following.broke_off()
            except PakaError as error:
                pause = following.broke_off(error)
            time.sleep(pause)

    def follow_log(self, job: Job | str) -> Iterator[str]:
        """What a job's process has printed, and what it prints, until it has ended."""
        offset, ended = 0, False
        while not ended:
            text, offset, ended = self._transport.run(ops.jobs.log_after(job, offset))
            if text:
                yield text
            if not ended:
                time.sleep(ops.jobs.LOG_SECONDS)

    def embed(
        self,
        images: Iterable[ImageLike] | ImageLike,
        encoder: str | Encoder | None = None,
        *,
        size: int | tuple[int, int] | None = None,
        batch: int = BATCH,
        concurrency: int = CONCURRENCY,
        progress: bool | None = False,
        **options: Unpack[FeatureOptions],
    ) -> Features:
        """Dense features, one vector for each patch, of any number of images.

        Args:
            images: paths, contents of files, Pillow images, or uint8 pixels (H, W, 3).
            encoder: post-trained, or `name`, `name@weights`.
            size: side of the encoder's input in pixels, or (height, width); multiples of the
                patch size; default: the size that the encoder was made for.
            batch: images in one request, split where the service takes fewer.
            concurrency: requests in flight.
            progress: show a bar; None: in a terminal or a notebook only.
            options: which features; see `FeatureOptions`.

        Raises:
            InvalidRequest: an option or an image that cannot be used, by its position.
        """
        fields = ops.embedding.embed_fields(encoder, size, options)

        def embed(some: Batch) -> Features:
            flow = ops.embedding.embed_files(some.files(), some.first, fields)
            return self._transport.run(flow)

        parts: list[Features] = []
        with tracking(progress, "embedding") as tracker:
            for part in in_threads(embed, batches(images, batch), concurrency):
                parts.append(part)
                tracker.update(sum(map(len, parts)), count(images), "images")
        return join(parts)

    def upload(
        self,
        path: str | Path,
        name: str | None = None,
        *,
        visibility: Visibility = "lab",
        progress: bool | None = None,
    ) -> UploadedDataset:
        """Make a data set on the server of a folder, or of a .tar, .tar.gz or .zip.

        Args:
            name: default: the folder's or archive's own.
            visibility: `private`: only you and admins can use it.

        Raises:
            Conflict: there is one of this name already.
        """
        path = Path(path)
        with tracking(progress, "uploading") as tracker:
            show = partial(tracker.megabytes, total=size_of(path))
            with archive_of(path, show) as (archive, file):
                chosen_name = name or name_of(path)
                flow = ops.datasets.upload_archive(archive, file, chosen_name, visibility)
                return self._transport.run(flow)

    def download_weights(
        self,
        encoder: Encoder | Checkpoint | str,
        path: str | Path,
        *,
        progress: bool | None = None,
    ) -> Path:
        """Fetch an encoder, or that of a job's checkpoint, as safetensors that timm loads.

        Raises:
            ConfigError: there is a folder at `path`.
            DownloadError: it broke off again and again, or did not arrive as it was sent; then no
                file is written.
        """
        source = self._transport.run(ops.encoders.weights(encoder))
        with tracking(progress, f"downloading {source.name}") as tracker:
            show = partial(tracker.megabytes, total=source.size)
            return self._save(source.call, Path(path), source.sha256, show)

    def download_features(self, job: Job | str, folder: str | Path) -> list[Path]:
        """Fetch what an `embed_dataset` job made: safetensors files, and index.json."""
        downloads = self._transport.run(ops.jobs.feature_files(job))
        return [self._save(call, Path(folder) / name) for name, call in downloads]

    def load_encoder(self, encoder: Encoder | str, **options: Any) -> "TimmModel":
        """An encoder as a timm model in evaluation mode, for images of any size.

        Weights are kept in ~/.cache/paka, and fetched only once.

        Args:
            options: for `timm.create_model`.

        Raises:
            MissingPackage: timm or torch is not installed.
        """
        from service.client import timm_model

        timm_model.check(id_of(encoder))
        found = self.encoder(encoder)
        weights = None
        if found.sha256 is not None:
            weights = cached_weights(found.sha256)
            if not weights.exists():
                self.download_weights(found, weights)
        return timm_model.build(found, weights, **options)

    def _save(
        self,
        call: Call,
        path: Path,
        sha256: str | None = None,
        show: Callable[[int], object] = lambda _: None,
    ) -> Path:
        check_place(path)
        self._transport.download(call, partial(saving, path, sha256, show))
        return path
