"""Files of jobs in object storage, so that hosts need no disk in common.

The bucket holds what is below `artifacts/jobs`, each file under the same name, and is the truth for
all that jobs made; a host's own folder is where it works, and a cache. A path stands for both:
every function takes that of the local file, whether it is there or not.

Of a folder with a `meta.json` (a checkpoint, a result) or an `index.json` (features) that file
comes last and goes first: without it the folder does not count, here as on a disk.
"""

import hashlib
import json
import logging
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from paka.files import is_disk_full, replacing, replacing_folder
from service.store.redact import redact
from service.store.settings import Settings

log = logging.getLogger(__name__)

REFERENCE = "artifact:"
"""How a config names what another job made, whatever the folders of a host are called:
`artifact:jobs/job_01m8…/final/encoder.safetensors#<sha256>`.
"""
MARK = ".attempt"
"""A file in a job's folder, and not in the bucket: which attempt at the job has last worked there
on this host; 0 if the folder holds only what was fetched.
"""
NODES = "nodes"
"""A folder in a job's folder, where the workers of its other nodes work: a folder for each. Each
goes with its part in an attempt, and of all that the bucket has only the log.
"""
_SIGN = ".paka"
_COMPLETES = ("meta.json", "index.json")
_REMEDY = "Look at PAKA_ARTIFACTS_URL, AWS_ENDPOINT_URL and the AWS_… credentials: `paka doctor`"
_S3 = ("s3://", "s3a://")
_S3_OPTIONS: dict[str, Any] = {
    "config_kwargs": {"connect_timeout": 5, "read_timeout": 15, "retries": {"max_attempts": 0}},
    "max_concurrency": 2,  # parts of 50 MB in memory at once
}
_S3_TRIES = 2
"""Whoever needs the bucket tries again by itself, or tells its user within half a minute."""


class BucketError(Exception):
    """The object storage cannot be used; the message says for what, where, and what would help."""


class DamagedError(BucketError):
    """A file in the bucket has another sha256 than is recorded; trying again does not help."""


def bucket_of(settings: Settings) -> "Bucket | None":
    """The object storage that the settings name; None if artifacts are on disks alone."""
    if settings.artifacts_url is None:
        return None
    return _bucket(settings.artifacts_url, settings.artifacts_folder)


@cache
def _bucket(url: str, folder: Path) -> "Bucket":
    return Bucket(url, folder)


class Bucket:
    """The objects below an fsspec URL, one for each file below `folder`.

    Nothing is asked of the storage, and nothing of fsspec imported, before the first call. All
    raise BucketError where the storage is away or refuses.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url.rstrip("/"), folder

    def size(self, path: Path) -> int | None:
        """Bytes of an object; None if there is none."""
        with self._asking("look at", path):
            try:
                info = self._storage.info(self._key(path))
            except FileNotFoundError:
                return None
            return int(info["size"]) if info["type"] == "file" else None

    def read(self, path: Path, start: int = 0, end: int | None = None) -> bytes:
        """The bytes `start` to `end` of an object, of all of it by default.

        Raises:
            FileNotFoundError: there is no such object.
        """
        with self._asking("read", path):
            if end is None and start == 0:
                return bytes(self._storage.cat_file(self._key(path)))
            return bytes(self._storage.cat_file(self._key(path), start=start, end=end))

    def objects(self, folder: Path) -> dict[Path, int]:
        """All objects below a folder, with their bytes."""
        with self._asking("list", folder):
            try:
                found = self._storage.find(self._key(folder), detail=True)
            except FileNotFoundError:
                return {}
            beginning = f"{self._root}/"
            return {
                self.folder / name.removeprefix(beginning): int(info["size"])
                for name, info in found.items()
                if info["type"] == "file"  # s3fs names the folder if objects come meanwhile
            }

    def jobs(self) -> list[Path]:
        """The folders of all jobs of which there is anything."""
        with self._asking("list", self.folder / "jobs"):
            try:
                names = self._storage.ls(self._key(self.folder / "jobs"), detail=False)
            except FileNotFoundError:
                return []
        return sorted(self.folder / "jobs" / Path(name).name for name in names)

    def push(self, path: Path) -> None:
        """Write a file of this host to the bucket.

        Raises:
            FileNotFoundError: it has just been removed here.
        """
        with self._asking("write", path):
            try:
                self._storage.put_file(str(path), self._key(path))
            except FileNotFoundError as error:
                if path.exists():  # so it is the bucket that is not there
                    raise OSError(str(error)) from error
                raise

    def fetch(self, path: Path, sha256: str | None = None) -> Path:
        """Bring an object to this host, unless the file is here with the right content.

        Args:
            sha256: of the content, if it is known; else what a meta.json beside it says counts.

        Raises:
            FileNotFoundError: there is no such object.
            DamagedError: it has another content.
        """
        sha256 = sha256 or self._recorded(path)
        if path.is_file() and sha256 in (None, _sha256(path)):
            return path
        self._bring(path, sha256)
        return path

    def fetch_job(self, folder: Path) -> bool:
        """Bring all that a job has to this host, in place of what is here of it; False, and nothing
        is changed, if the bucket has nothing. A checkpoint that is damaged is left out.
        """
        found = self.objects(folder)
        objects = [path for path in found if path.relative_to(folder).parts[0] != NODES]
        if not objects:
            return False
        for path in folder.glob("*"):
            if path.is_file():
                path.unlink()
            elif path.name != NODES:
                shutil.rmtree(path, ignore_errors=True)
        complete = {path.parent for path in objects if path.name == "meta.json"}
        for path in reversed(first_what_completes(objects)):
            if path.parent not in complete and "checkpoints" not in path.parts:
                with suppress(FileNotFoundError):  # just removed, to make room
                    self._bring(path)
        for each in sorted(complete):
            try:
                self._fetch_complete(each)
            except (DamagedError, FileNotFoundError) as error:
                log.warning("%s is passed over: %s", each, error)
        return True

    def _fetch_complete(self, folder: Path) -> None:
        """Bring a folder here in one piece, each file with the sha256 that its meta.json says."""
        content = self.read(folder / "meta.json")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with replacing_folder(folder) as aside:
            for name, about in _files_in(content).items():
                self._download(folder / name, aside / name, about["sha256"])
            (aside / "meta.json").write_bytes(content)

    def _bring(self, path: Path, sha256: str | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as aside:
            self._download(path, aside, sha256)

    def _download(self, path: Path, target: Path, sha256: str | None) -> None:
        with self._asking("read", path):
            self._storage.get_file(self._key(path), str(target))
        if sha256 and (found := _sha256(target)) != sha256:
            where = f"{self.url}/{path.relative_to(self.folder)}"
            raise DamagedError(f"{redact(where)} has sha256 {found} instead of {sha256}")

    def remove(self, *paths: Path) -> None:
        """Remove objects, and folders of them; nothing is wrong if there are none."""
        for path in paths:
            found = [path] if self.size(path) is not None else self.objects(path)
            for each in first_what_completes(found):
                with self._asking("remove", each):
                    self._storage.rm_file(self._key(each))

    def check(self) -> None:
        """Do nothing if the bucket can be used, though it may have no room."""
        if self.size(self.folder / _SIGN) is None:
            self.check_room()

    def check_room(self) -> None:
        """Do nothing if the bucket takes objects, by one that stays in it."""
        self._write(self.folder / _SIGN, b"Files of jobs of PaKA Service.\n")

    def try_out(self) -> None:
        """Write, read, list and remove an object, as jobs will."""
        path, content = self.folder / f".doctor-{uuid.uuid4().hex}", b"written by paka doctor"
        self._write(path, content)
        try:
            if self.read(path) != content or path not in self.objects(path):
                raise BucketError(f"{redact(self.url)} does not give back what was written to it")
        finally:
            self.remove(path)

    def _write(self, path: Path, content: bytes) -> None:
        with self._asking("write", path):
            try:
                self._storage.pipe_file(self._key(path), content)
            except FileNotFoundError as error:
                raise OSError(str(error)) from error

    def _recorded(self, path: Path) -> str | None:
        """What the meta.json beside an object says of it."""
        try:
            files = _files_in(self.read(path.with_name("meta.json")))
        except FileNotFoundError:
            return None
        return files[path.name]["sha256"] if path.name in files else None

    @cached_property
    def _storage(self) -> Any:
        from fsspec.core import url_to_fs

        is_s3 = self.url.startswith(_S3)
        options = _S3_OPTIONS if is_s3 else {}
        try:
            storage, _ = url_to_fs(self.url, use_listings_cache=False, **options)
        except (ImportError, ValueError) as error:
            raise BucketError(
                f"PAKA_ARTIFACTS_URL {redact(self.url)} cannot be used: {error}. For s3:// install "
                "the extra: pip install 'paka-service[s3]'"
            ) from error
        if is_s3:
            storage.retries = _S3_TRIES  # it has no option for that
        return storage

    @cached_property
    def _root(self) -> str:
        return str(self._storage._strip_protocol(self.url))

    def _key(self, path: Path) -> str:
        return str(PurePosixPath(self._root, path.relative_to(self.folder)))

    @contextmanager
    def _asking(self, verb: str, path: Path) -> Iterator[None]:
        """Make what the storage's own library raises one error; those libraries share no base."""
        try:
            yield
        except (BucketError, FileNotFoundError):
            raise
        except Exception as error:
            if is_disk_full(error):
                raise
            what = f"cannot {verb} {path.relative_to(self.folder)} in {redact(self.url)}"
            why = redact(f"{type(error).__name__}: {error}".strip().rstrip("."))
            raise BucketError(f"{what}: {why}. {_REMEDY}") from error


def first_what_completes(paths: Iterable[Path]) -> list[Path]:
    """Paths in the order in which they go; they come in the opposite one."""
    return sorted(paths, key=lambda path: (path.name not in _COMPLETES, path))


def _files_in(meta: bytes) -> dict[str, dict[str, Any]]:
    files: dict[str, dict[str, Any]] = json.loads(meta)["files"]
    return files


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
