"""The starter's weights, which come along, and the folder that pretrained ones are fetched into."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import paka.starter
from paka.doctor.finding import Finding, Request, Topic, ok, problem, warning

STARTER = Path(paka.starter.__file__).with_name("starter.safetensors")
STARTER_SHA256 = "e451e374d8c01829ce7ca97b4c2b678857afae3524249a7d7b023c1eb5b71763"


def check(_request: Request) -> Iterator[Finding]:
    """The starter's file, the hub's folder, and whether the hub may be asked."""
    yield starter(STARTER)
    yield cache(cache_folder(os.environ))
    yield from offline(os.environ)


def starter(file: Path) -> Finding:
    """Whether the shipped weights are as they were shipped."""
    remedy = "pip install --force-reinstall --no-deps paka-service"
    if not file.is_file():
        return problem("starter weights", f"{file} is missing", remedy)
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != STARTER_SHA256:
        return problem("starter weights", f"{file} is damaged: its sha256 is {found}", remedy)
    return ok("starter weights", f"intact, sha256 {found[:12]}…")


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Where the hub's client keeps what it has fetched, by the variables that it reads."""
    home = environment.get("HF_HOME") or Path(
        environment.get("XDG_CACHE_HOME") or "~/.cache", "huggingface"
    )
    return Path(environment.get("HF_HUB_CACHE") or Path(home, "hub")).expanduser()


def cache(folder: Path) -> Finding:
    """Whether pretrained weights can be kept: the folder, or the first above it that is there."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir():
        reason = f"{there} is a file"
    elif not os.access(there, os.W_OK | os.X_OK):
        reason = f"{there} cannot be written to"
    else:
        models = len(list(folder.glob("models--*"))) if folder.is_dir() else 0
        return ok("weights folder", f"{folder}, {models} models")
    return problem("weights folder", f"{folder}: {reason}", "export HF_HOME=/a/folder/of/yours")


def offline(environment: Mapping[str, str]) -> Iterator[Finding]:
    """A warning for each variable that keeps the hub's client from fetching anything."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        if environment.get(name, "").upper() in ("1", "ON", "YES", "TRUE"):
            found = f"{name} is set: only pretrained weights that were fetched before are found"
            yield warning("offline", found, f"unset {name}")


TOPIC = Topic("Weights", check)
