"""The async client: `service.client.client`, with `await`."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
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
from service.client.inflight import in_tasks
from service.client.methods import awaiting, awaiting_pages
from service.client.operations.embedding import BATCH, CONCURRENCY, FeatureOptions
from service.client.operations.training import Visibility
from service.client.packing import archive_of, name_of, size_of
from service.client.progress import tracking
from service.client.retries import Retries
from service.client.saving import cached_weights, check_place, saving
from service.client.schemas import Checkpoint, Encoder, Event, Job, UploadedDataset
from service.client.transport import AsyncTransport

if TYPE_CHECKING:
    from service.client.timm_model import TimmModel


class AsyncPakaClient:
    """`PakaClient` without blocking: the same arguments, and `await` before each call.

    Example:
        >>> async with AsyncPakaClient() as client:
        ...     job = await client.wait(await client.train("photos", preset="tiny"))
        ...     async for encoder in client.encoders():
        ...         print(encoder.id)
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout: float = TIMEOUT_SECONDS,
        retries: int | Retries = RETRIES,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        http = httpx.AsyncClient(**http_options(url, key, timeout), transport=transport)
        self._transport = AsyncTransport(http, chosen(retries))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End all connections."""
        await self._transport.http.aclose()

    @property
    def url(self) -> str:
        """Of the service."""
        return str(self._transport.http.base_url).rstrip("/")

    train = awaiting(ops.training.train)
    dry_run = awaiting(ops.training.dry_run)
    evaluate = awaiting(ops.training.evaluate)
    embed_dataset = awaiting(ops.training.embed_dataset)

    job = awaiting(ops.jobs.job)
    jobs = awaiting_pages(ops.jobs.jobs)
    cancel = awaiting(ops.jobs.cancel)
    resume = awaiting(ops.jobs.resume)
    delete = awaiting(ops.jobs.delete)
    update = awaiting(ops.jobs.update)
    checkpoints = awaiting(ops.jobs.checkpoints)
    metrics = awaiting(ops.jobs.metrics)
    metric_rows = awaiting(ops.jobs.metric_rows)
    log = awaiting(ops.jobs.log)
    report = awaiting(ops.jobs.report)
    report_text = awaiting(ops.jobs.report_text)
    feature_index = awaiting(ops.jobs.feature_index)

    encoder = awaiting(ops.encoders.encoder)
    encoders = awaiting_pages(ops.encoders.encoders)
    dataset = awaiting(ops.datasets.dataset)
    datasets = awaiting_pages(ops.datasets.datasets)
    delete_dataset = awaiting(ops.datasets.delete_dataset)
    cluster = awaiting(ops.cluster.cluster)
    ready = awaiting(ops.cluster.ready)
    me = awaiting(ops.cluster.me)

    async def wait(self, job: Job | str, *, progress: bool | None = None) -> Job:
        """`PakaClient.wait`, without blocking."""
        with tracking(progress, id_of(job)) as tracker:
            # Where no stream comes through, the job itself can still be asked for.
            following = Following(job, patience=Patience(SILENCE_SECONDS))
            try:
                async for event in self._events(following):
                    tracker.event(event)
            except PASSING:
                await self._transport.run(ops.jobs.until_ended(job, tracker.job))
        return await self._transport.run(ops.jobs.succeeded(job))

    async def events(self, job: Job | str, *, after: int = 0) -> AsyncIterator[Event]:
        """`PakaClient.events`, without blocking."""
        async for event in self._events(Following(job, after)):
            yield event

    async def _events(self, following: Following) -> AsyncIterator[Event]:
        while True:
            try:
                async with self._transport.stream(following.call()) as response:
                    if following.is_over(response):
                        return
                    async for line in response.aiter_lines():
                        if event := following.read(line, response):
                            yield event
                pause = following.broke_off()
            except PakaError as error:
                pause = following.broke_off(error)
            await asyncio.sleep(pause)

    async def follow_log(self, job: Job | str) -> AsyncIterator[str]:
        """`PakaClient.follow_log`, without blocking."""
        offset, ended = 0, False
        while not ended:
            text, offset, ended = await self._transport.run(ops.jobs.log_after(job, offset))
            if text:
                yield text
            if not ended:
                await asyncio.sleep(ops.jobs.LOG_SECONDS)

    async def embed(
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
        """`PakaClient.embed`, without blocking."""
        fields = ops.embedding.embed_fields(encoder, size, options)

        async def embed(some: Batch) -> Features:
            files = await asyncio.to_thread(some.files)
            flow = ops.embedding.embed_files(files, some.first, fields)
            return await self._transport.run(flow)

        parts: list[Features] = []
        with tracking(progress, "embedding") as tracker:
            async for part in in_tasks(embed, batches(images, batch), concurrency):
                parts.append(part)
                tracker.update(sum(map(len, parts)), count(images), "images")
        return join(parts)

    async def upload(
        self,
        path: str | Path,
        name: str | None = None,
        *,
        visibility: Visibility = "lab",
        progress: bool | None = None,
    ) -> UploadedDataset:
        """`PakaClient.upload`, without blocking."""
        path = Path(path)
        with tracking(progress, "uploading") as tracker:
            show = partial(tracker.megabytes, total=size_of(path))
            with archive_of(path, show) as (archive, file):
                chosen_name = name or name_of(path)
                flow = ops.datasets.upload_archive(archive, file, chosen_name, visibility)
                return await self._transport.run(flow)

    async def download_weights(
        self,
        encoder: Encoder | Checkpoint | str,
        path: str | Path,
        *,
        progress: bool | None = None,
    ) -> Path:
        """`PakaClient.download_weights`, without blocking."""
        source = await self._transport.run(ops.encoders.weights(encoder))
        with tracking(progress, f"downloading {source.name}") as tracker:
            show = partial(tracker.megabytes, total=source.size)
            return await self._save(source.call, Path(path), source.sha256, show)

    async def download_features(self, job: Job | str, folder: str | Path) -> list[Path]:
        """`PakaClient.download_features`, without blocking."""
        downloads = await self._transport.run(ops.jobs.feature_files(job))
        return [await self._save(call, Path(folder) / name) for name, call in downloads]

    async def load_encoder(self, encoder: Encoder | str, **options: Any) -> "TimmModel":
        """`PakaClient.load_encoder`, without blocking."""
        from service.client import timm_model

        await asyncio.to_thread(timm_model.check, id_of(encoder))
        found = await self.encoder(encoder)
        weights = None
        if found.sha256 is not None:
            weights = cached_weights(found.sha256)
            if not weights.exists():
                await self.download_weights(found, weights)
        return await asyncio.to_thread(timm_model.build, found, weights, **options)

    async def _save(
        self,
        call: Call,
        path: Path,
        sha256: str | None = None,
        show: Callable[[int], object] = lambda _: None,
    ) -> Path:
        check_place(path)
        await self._transport.download(call, partial(saving, path, sha256, show))
        return path
