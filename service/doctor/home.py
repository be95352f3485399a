"""Folders of the service: home, artifacts, data roots; and the server's secret."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from paka.doctor.finding import Finding, not_applicable, ok, problem, size, warning
from service.store.bucket import Bucket, BucketError, bucket_of
from service.store.redact import redact
from service.store.settings import Settings

MOUNTS = Path("/proc/mounts")
_NETWORK = ("nfs", "cifs", "smb", "fuse.sshfs", "9p", "ceph", "glusterfs", "lustre")
_SHORTEST_SECRET = 32


def check(settings: Settings) -> Iterator[Finding]:
    """Whether the folders can be used as the service will use them."""
    yield writable("home", settings.home_folder)
    if settings.artifacts is not None:
        yield writable("artifacts", settings.artifacts_folder)
    if (storage := bucket_of(settings)) is not None:
        yield usable(storage)
    yield room(settings)
    for root in settings.data_folders:
        yield readable(root, given=bool(settings.data_roots))
    yield secret(settings)


def writable(name: str, folder: Path) -> Finding:
    """Whether files in a folder can be locked, brought to the disk, and renamed."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not folder.is_dir():
        if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
            return not_applicable(name, f"{folder} will be made at the first start")
        reason = "is a file" if not there.is_dir() else "cannot be written to"
        return problem(name, f"{folder}: {there} {reason}", "set PAKA_HOME to another folder")
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".doctor-") as aside:
            _use(Path(aside))
    except OSError as error:
        remedy = f"chown -R $(id -u) {folder}, or set PAKA_HOME to a local disk"
        return problem(name, f"{folder} cannot be used: {error.strerror or error}", remedy)
    return ok(name, f"{folder} can be written to, with locks")


def _use(folder: Path) -> None:
    with (folder / "written").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.write(b"x")
        file.flush()
        os.fsync(file.fileno())
    (folder / "written").rename(folder / "renamed")


def usable(storage: Bucket) -> Finding:
    """Whether objects can be written, read, listed and removed as jobs will."""
    url = redact(storage.url)
    try:
        storage.try_out()
    except BucketError as error:
        remedy = f"paka doctor, once AWS_ENDPOINT_URL and the keys open {url}"
        return problem("bucket", str(error), remedy)
    return ok("bucket", f"{url} can be written to, read and cleared")


def room(settings: Settings) -> Finding:
    """Room on the artifacts' disk, beside what workers want to stay free."""
    folder = settings.artifacts_folder
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free, wanted = shutil.disk_usage(there).free, settings.min_free_bytes
    found = f"{size(free)} free for artifacts in {there}"
    remedy = "paka-server gc --dry-run, or PAKA_ARTIFACTS on another disk"
    if free < wanted:
        few = f"{found}: workers start no job below PAKA_MIN_FREE_BYTES, {size(wanted)}"
        return problem("disk", few, remedy)
    if free < 10 * wanted:
        return warning("disk", f"{found}, {size(wanted)} must stay free", remedy)
    return ok("disk", found)


def readable(root: Path, *, given: bool) -> Finding:
    """Whether a data root is there and can be read."""
    if not root.is_dir() and not given:
        return not_applicable("data", f"{root} will be made at the first start")
    try:
        count = sum(1 for _ in root.iterdir())
    except OSError as error:
        remedy = "mount it, let this user read it, or change PAKA_DATA_ROOTS"
        return problem("data", f"{root}: {error.strerror}", remedy)
    return ok("data", f"{root}, {count} entries")


def secret(settings: Settings) -> Finding:
    """Whether the secret by which keys are recognised is one, and is kept."""
    if settings.secret_key is not None:
        return ok("secret", "from PAKA_SECRET_KEY")
    file = settings.home_folder / "secret.key"
    if not file.exists():
        return not_applicable("secret", f"{file} will be made when the first key is")
    mode = file.stat().st_mode & 0o777
    if mode & 0o077:
        found = f"{file} has mode {mode:04o}: others on this machine can read it"
        return problem("secret", found, f"chmod 600 {file}")
    if len(file.read_bytes().strip()) < _SHORTEST_SECRET:
        remedy = "bring it back from a backup; or remove it, restart, and make new keys"
        return problem("secret", f"{file} is too short to be the server's secret", remedy)
    return ok("secret", f"{file}, mode {mode:04o}")


def network_file_system(path: Path, mounts: Path = MOUNTS) -> str | None:
    """The kind of file system that `path` is on, if it is one that other machines share."""
    if not mounts.exists():
        return None
    rows = [line.split() for line in mounts.read_text().splitlines()]
    inside = [(point, kind) for _, point, kind, *_ in rows if path.is_relative_to(point)]
    kind = max(inside, key=lambda mount: len(mount[0]), default=("", ""))[1]
    return kind if kind.startswith(_NETWORK) else None
