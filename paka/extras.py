"""Packages that not everybody needs: imported where they are used, or an error that names them."""

from importlib import import_module
from types import ModuleType

from paka.errors import ConfigError


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
        raise ConfigError(
            f"{purpose} needs {module.partition('.')[0]}, which is not installed: "
            f"pip install 'paka-service[{extra}]'"
        ) from error
