"""Packages that not everybody needs: imported where they are used, or an error that names them."""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from paka.errors import ConfigError

METHOD = ("torch", "torchvision", "timm")
"""Packages without which nothing is computed; the client of a service does without them."""


def require_method(purpose: str) -> None:
    """Look whether `METHOD` is there, without importing it.

    Args:
        purpose: what it is needed for, as the subject of a sentence.

    Raises:
        ConfigError: some of it is not installed.
    """
    missing = [name for name in METHOD if find_spec(name) is None]
    if missing:
        raise _missing(purpose, " and ".join(missing), "train")


def load_extra(module: str, extra: str, purpose: str) -> ModuleType:
    """Import a module of an optional package.

    Args:
        extra: the group of `paka-service` that brings it along.
        purpose: what it is needed for, as the subject of a sentence.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise _missing(purpose, module.partition(".")[0], extra) from error


def _missing(purpose: str, packages: str, extra: str) -> ConfigError:
    return ConfigError(
        f"{purpose} needs {packages}, which is not installed: pip install 'paka-service[{extra}]'"
    )
