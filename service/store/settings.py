"""Settings shared by the API and the workers, read from `PAKA_*` environment variables."""

import ipaddress
import os
import re
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from paka.data.links import Reach
from service.store.logs import LogFormat

MIN_TOKEN_CHARACTERS = 16
_BUCKET_URL = re.compile(r"[a-z][a-z0-9+]*://[^/?#]+[^?#]*")
_TRACE_VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Settings(BaseSettings):
    """Where things live and how long to wait; `PAKA_HOME=/srv/paka` sets `home`."""

    model_config = SettingsConfigDict(env_prefix="PAKA_", frozen=True, hide_input_in_errors=True)

    home: Path = Field(Path("var"), description="Folder of database, Redis files and artifacts.")
    database_url: str = Field(
        "", repr=False, description="SQLAlchemy URL. Default: the SQLite file <home>/paka.db."
    )
    redis_url: str = Field(
        "",
        repr=False,
        description="redis:// or unix:// URL. Default: <home>/redis.sock, a private server.",
    )
    artifacts: Path | None = Field(
        None, description="Folder of job artifacts. Default: <home>/artifacts."
    )
    artifacts_url: str | None = Field(
        None,
        repr=False,
        description="Object storage that holds what jobs made, such as s3://bucket/prefix; the "
        "folder is then each host's working place and cache. Default: the folder holds it.",
    )
    artifacts_seconds: float = Field(
        5.0,
        gt=0,
        le=3600,
        description="Pause between two times that a running job's files go to the object storage.",
    )
    artifacts_retry_seconds: float = Field(
        600.0,
        ge=0,
        le=86_400,
        description="How long a worker tries again where the object storage is away, before a job "
        "starts and before it ends.",
    )
    data_roots: tuple[Path, ...] = Field(
        (),
        description="Folders from which jobs may read images and weights, as a JSON list. "
        "Default: <home>/data.",
    )
    uploads: Path | None = Field(
        None, description="Folder of uploaded data sets, a data root. Default: <home>/uploads."
    )
    host: str = Field("127.0.0.1", description="Address on which the API listens.")
    port: int = Field(8000, ge=0, le=65535, description="Port on which the API listens.")
    log_format: LogFormat = Field(
        "text", description="How the parts log: lines to read, or one JSON object a line."
    )
    body_seconds: float = Field(
        30.0,
        gt=0,
        le=3600,
        description="Time for a request's body to arrive; more, at 50 kB a second, if it is large.",
    )
    auth: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Whether requests need a key; `off` on a loopback address only. Default: they "
        "do unless the API listens on a loopback address.",
    )
    secret_key: SecretStr | None = Field(
        None,
        min_length=32,
        description="Secret by which keys are recognised, the same for all parts of the service. "
        "Default: in the file <home>/secret.key, which is made at the first start.",
    )
    rate_limit: int = Field(
        600, ge=1, le=1_000_000, description="Requests a minute for each key; more are refused."
    )
    metrics_token: SecretStr | None = Field(
        None,
        description="Secret that opens /metrics, and nothing else, to a collector without a key. "
        "Default: it needs a key like all else.",
    )
    traces: bool = Field(
        False,
        description="Whether to send traces to OTEL_EXPORTER_OTLP_ENDPOINT. Default: if it is set.",
    )
    embed_rate_limit: int = Field(
        600, ge=1, le=1_000_000, description="Embedding requests a minute for each key."
    )
    trusted_proxies: str = Field(
        "",
        description="Addresses of reverse proxies, with commas between, whose X-Forwarded-For "
        "tells a client's address.",
    )
    lease_seconds: float = Field(
        30.0, ge=1, le=3600, description="A running job without a heartbeat for this long is lost."
    )
    reconcile_seconds: float = Field(
        5.0, gt=0, le=3600, description="Pause between two searches for lost jobs and messages."
    )
    message_seconds: float = Field(
        30.0, gt=0, le=3600, description="Look for a queued job's message after this long."
    )
    stop_seconds: float = Field(
        30.0, ge=1, le=3600, description="Time for a stopped process to write its checkpoint."
    )
    max_attempts: int = Field(
        3, ge=1, le=100, description="A job whose worker died this often has failed."
    )
    min_free_bytes: int = Field(
        2**30, ge=0, description="Workers start no job while the artifacts' disk has less free."
    )
    cpu_slots: int = Field(1, ge=1, le=1024, description="Jobs at once on a machine without GPUs.")
    node_address: str = Field(
        "",
        max_length=255,
        pattern=r"^[A-Za-z0-9.:_-]*$",
        description="Address by which the workers of other hosts reach this one's trainings. "
        "Default: this host's own on the way to Redis or the database.",
    )
    job_niceness: int = Field(
        10, ge=0, le=19, description="How far jobs give way to embedding on the processor."
    )
    embed_reserve_bytes: int = Field(
        8 * 2**30,
        ge=0,
        description="Memory kept for embedding on the GPU that it uses, a quarter of it at most, "
        "and the most that embedding takes; 0: neither.",
    )
    aging_hours: float = Field(
        24.0, gt=0, le=8760, description="A job that has waited this long ranks one class higher."
    )
    half_life_hours: float = Field(
        24.0, gt=0, le=8760, description="What a user used this long ago counts half."
    )
    patience_minutes: float = Field(
        10.0,
        ge=0,
        le=100_000,
        description="Slots are kept for the first job in rank once it has waited this long.",
    )
    preempt_after_minutes: float = Field(
        5.0, ge=0, le=100_000, description="A job keeps its place for at least this long."
    )
    user_running_slots: int | None = Field(
        None, ge=1, le=100_000, description="Slots on which one user's jobs may run at once."
    )
    user_queued_jobs: int = Field(
        1000, ge=1, le=1_000_000, description="Jobs of one user that may wait; more are refused."
    )
    user_week_hours: float | None = Field(
        None, gt=0, le=1e9, description="Slot-hours that one user may use in seven days."
    )
    embed_timeout_seconds: float = Field(
        60.0, gt=0, le=3600, description="Longest time an embedding request may take."
    )
    queue_limit: int = Field(
        10_000, ge=1, le=1_000_000, description="Jobs that may wait; more are refused."
    )
    embed_requests: int = Field(
        256, ge=1, le=100_000, description="Embedding requests in progress in one API process."
    )
    embed_memory_bytes: int = Field(
        2 * 2**30, ge=2**20, description="What embedding requests may hold of its memory."
    )
    embed_queue_limit: int = Field(
        256, ge=1, le=100_000, description="Embedding requests that may wait; more are refused."
    )
    embed_queue_bytes: int = Field(
        2**30, ge=2**20, description="Size of the embedding requests that wait in Redis."
    )
    embed_max_images: int = Field(
        64, ge=1, le=4096, description="Images in one embedding request; more belong in a job."
    )
    embed_max_bytes: int = Field(
        256 * 2**20, ge=1024, description="Size of one embedding request's body."
    )
    embed_max_pixels: int = Field(
        64 * 1024 * 1024, ge=1024, description="Encoder-input pixels in one embedding request."
    )
    embed_cache_bytes: int = Field(
        0,
        ge=0,
        le=2**50,
        description="Features kept in <home>/features-cache, to be computed once only; 0: none.",
    )
    embed_models: int = Field(
        4, ge=1, le=64, description="Encoders that an embedding worker keeps in memory."
    )
    decode_processes: int = Field(
        default_factory=lambda: min(os.cpu_count() or 1, 8),
        ge=1,
        le=256,
        description="Processes in which the API decodes images. Default: one a core, 8 at most.",
    )
    decode_seconds: float = Field(
        20.0, gt=0, le=600, description="Longest time that decoding one image may take."
    )
    decode_memory_bytes: int = Field(
        4 * 2**30, ge=2**29, description="Memory (address space) that a decoding process may take."
    )
    decode_queue_limit: int = Field(
        1024, ge=1, le=100_000, description="Images that may wait to be decoded; more are refused."
    )
    upload_max_bytes: int = Field(20 * 2**30, ge=1024, description="Size of an uploaded archive.")
    upload_max_unpacked_bytes: int = Field(
        50 * 2**30, ge=1024, description="Size of what an archive unpacks to."
    )
    upload_max_ratio: int = Field(
        200, ge=1, le=100_000, description="How many times its own size an archive may unpack to."
    )
    upload_max_files: int = Field(
        200_000, ge=1, le=10_000_000, description="Entries in an archive, folders included."
    )
    upload_max_file_bytes: int = Field(
        256 * 2**20, ge=1024, description="Size of one file in an archive."
    )
    upload_max_pixels: int = Field(
        10**8, ge=1, le=10**8, description="Pixels of one image in an archive."
    )
    upload_reserve_bytes: int = Field(
        2**30, ge=0, description="Disk space that uploads leave free."
    )
    unpack_seconds: float = Field(
        3600.0, gt=0, le=86_400, description="Longest time that unpacking an archive may take."
    )

    retention_checkpoints_days: float | None = Field(
        None, ge=0, description="Checkpoints go this long after their job's end. Default: never."
    )
    retention_artifacts_days: float | None = Field(
        None,
        ge=0,
        description="Features, reports and logs go this long after their job's end. "
        "Default: never.",
    )
    retention_checkpoint_jobs: int | None = Field(
        None,
        ge=0,
        description="Ended jobs of one user that keep checkpoints, the newest. Default: all.",
    )
    retention_quota_bytes: int | None = Field(
        None, ge=0, description="Bytes of all that jobs made, before room is made. Default: any."
    )
    retention_user_quota_bytes: int | None = Field(
        None, ge=0, description="The same for the jobs of one user. Default: any."
    )
    retention_encoders: bool = Field(
        False, description="Whether final encoders go by the same rules as artifacts."
    )
    retention_seconds: float = Field(
        3600.0, gt=0, le=2**31, description="Pause between two times that room is made."
    )

    @field_validator("artifacts_url")
    @classmethod
    def _of_a_bucket(cls, value: str | None) -> str | None:
        if value and (not _BUCKET_URL.fullmatch(value) or value.startswith(("file:", "local:"))):
            raise ValueError("give it as s3://bucket/prefix, and a folder as PAKA_ARTIFACTS")
        return value.rstrip("/") if value else None

    @field_validator("auth")
    @classmethod
    def _open_on_loopback_only(cls, value: str, info: ValidationInfo) -> str:
        host = info.data.get("host", "")
        if value == "off" and not is_loopback(host):
            raise ValueError(f"a server on {host} is open to other machines: use `on` or `auto`")
        return value

    @property
    def needs_keys(self) -> bool:
        """Whether every request must come with a key."""
        return self.auth == "on" or not is_loopback(self.host)

    @field_validator("metrics_token", mode="before")
    @classmethod
    def _long_or_none(cls, value: str | SecretStr | None) -> str | SecretStr | None:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if text and len(text) < MIN_TOKEN_CHARACTERS:
            raise ValueError(f"give it {MIN_TOKEN_CHARACTERS} characters or more, or leave it out")
        return value if text else None

    @property
    def wants_traces(self) -> bool:
        """Whether spans are made and sent."""
        return self.traces or any(name in os.environ for name in _TRACE_VARIABLES)

    @property
    def home_folder(self) -> Path:
        """`home`, absolute."""
        return self.home.resolve()

    @property
    def artifacts_folder(self) -> Path:
        """Where job folders live, absolute."""
        return (self.artifacts or self.home / "artifacts").resolve()

    @property
    def roots(self) -> tuple[Path, ...]:
        """Folders from which jobs may read, absolute, symbolic links resolved; uploads last."""
        return tuple(dict.fromkeys((*self.data_folders, self.uploads_folder)))

    @property
    def data_folders(self) -> tuple[Path, ...]:
        """The data roots that are given from outside, absolute."""
        return tuple(root.resolve() for root in self.data_roots or (self.home / "data",))

    @property
    def reach(self) -> Reach:
        """Where links in a data set may lead; uploads hold none, and some are private, as are some
        jobs.
        """
        return Reach(self.data_folders, (self.uploads_folder, self.artifacts_folder))

    @property
    def uploads_folder(self) -> Path:
        """Where uploaded data sets live, absolute."""
        return (self.uploads or self.home / "uploads").resolve()

    @property
    def database(self) -> str:
        """The database's SQLAlchemy URL."""
        return self.database_url or f"sqlite:///{self.home_folder / 'paka.db'}"

    @property
    def redis(self) -> str:
        """The Redis URL, in redis-py's form (`unix://` for a socket)."""
        return self.redis_url or f"unix://{self.home_folder / 'redis.sock'}"

    def job_folder(self, job_id: str) -> Path:
        """The folder in which a job's process reads its config and writes what it makes."""
        return self.artifacts_folder / "jobs" / job_id


def is_loopback(host: str) -> bool:
    """Whether a name or an address is this machine's own, unreachable for others."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@cache
def get_settings() -> Settings:
    """Return this process's settings."""
    return Settings()
