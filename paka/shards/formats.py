"""The formats of shards, by their names and by the files' endings."""

from pathlib import Path

from paka.choices import FeatureFormat
from paka.errors import DataError
from paka.shards import safetensors, zarr
from paka.shards.base import Shard, ShardFormat

FORMATS: dict[FeatureFormat, ShardFormat] = {"safetensors": safetensors, "zarr": zarr}


def open_shard(path: Path) -> Shard:
    """Open a shard.

    Raises:
        DataError: its ending is none of a format.
        ConfigError: the package that its format takes is not installed.
    """
    for form in FORMATS.values():
        if path.name.endswith(form.suffix):
            return form.open(path)
    known = ", ".join(form.suffix for form in FORMATS.values())
    raise DataError(f"{path} is no file of features: none of {known}")
