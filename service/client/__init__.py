"""The service from Python, without torch: `pip install 'paka-service[client]'`.

    from service.client import PakaClient

    with PakaClient() as client:
        job = client.wait(client.train("photos", preset="tiny"))

What is sent and what is made of the answers is in `operations`, once; the two clients carry it out.
Nothing here may import the server's side of `service`.
"""

from paka.errors import ConfigError
from service.client.async_client import AsyncPakaClient
from service.client.client import PakaClient
from service.client.errors import (
    ApiError,
    Conflict,
    ConnectionFailed,
    DownloadError,
    FieldError,
    Forbidden,
    ForeignAnswer,
    InvalidRequest,
    JobCancelled,
    JobFailed,
    MissingPackage,
    NotFound,
    PakaError,
    RateLimited,
    ServiceUnavailable,
    Unauthorized,
)
from service.client.features import Features, read_features
from service.client.retries import Retries
from service.client.schemas import (
    Checkpoint,
    Cluster,
    Dataset,
    DryRun,
    Encoder,
    Event,
    FeatureIndex,
    Job,
    Me,
    Readiness,
    Report,
    UploadedDataset,
)

__all__ = [
    "ApiError",
    "AsyncPakaClient",
    "Checkpoint",
    "Cluster",
    "ConfigError",
    "Conflict",
    "ConnectionFailed",
    "Dataset",
    "DownloadError",
    "DryRun",
    "Encoder",
    "Event",
    "FeatureIndex",
    "Features",
    "FieldError",
    "Forbidden",
    "ForeignAnswer",
    "InvalidRequest",
    "Job",
    "JobCancelled",
    "JobFailed",
    "Me",
    "MissingPackage",
    "NotFound",
    "PakaClient",
    "PakaError",
    "RateLimited",
    "Readiness",
    "Report",
    "Retries",
    "ServiceUnavailable",
    "Unauthorized",
    "UploadedDataset",
    "read_features",
]
