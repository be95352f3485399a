"""The images of a Hugging Face data set, in the Arrow files that its `save_to_disk` has written.

They are read with pyarrow alone: `datasets` itself would bring along much that can reach a network,
and nothing that is needed here.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paka.data.links import Reach
from paka.data.members import readable
from paka.data.source import check_size, read_file
from paka.errors import DataError
from paka.extras import load_extra
from paka.files import read_json

if TYPE_CHECKING:
    import pyarrow as pa

_SPLITS, _STATE, _INFO = "dataset_dict.json", "state.json", "dataset_info.json"


class ArrowImages:
    """The images of one split, by the numbers of their rows.

    They are those of the first column of the type Image. A row may hold a path instead of an
    image's content; in a server's job that may lead only to where links may.

    Args:
        label: what stands before the numbers.

    Raises:
        DataError: there is no such column, or the files are damaged or cut short.
        ConfigError: pyarrow is not installed.
    """

    def __init__(self, folder: Path, label: str) -> None:
        self.folder, self.label = folder, label
        self._column = self._load()

    def _load(self) -> "pa.ChunkedArray":
        name = image_column(self.folder)
        with readable(self.folder):
            chunks = [batch.column(name) for batch in batches(self.folder)]
            if not chunks:
                raise DataError("it has no rows")
            column = _arrow().chunked_array(chunks)
            column.validate(full=True)  # else a crafted file is read past its end
            if set(column.type.names) != {"bytes", "path"}:
                raise DataError(f"its column {name!r} has neither bytes nor paths of images")
        return column

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "label": self.label}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def __len__(self) -> int:
        return len(self._column)

    def name(self, index: int) -> str:
        """The label, and the row's number."""
        return f"{self.label}{index}"

    def read(self, index: int) -> bytes:
        """The row's bytes, or the file at its path."""
        row, name = self._column[index].as_py() or {}, self.name(index)
        if row.get("bytes") is not None:
            check_size(len(row["bytes"]), name)
            return bytes(row["bytes"])
        if not row.get("path"):
            raise DataError(f"{name} is empty")
        return read_file(self._outside(row["path"], name), name)

    def _outside(self, path: str, name: str) -> Path:
        try:
            found = (self.folder / path).resolve()
        except (OSError, RuntimeError, ValueError):  # a loop of links, a null character
            raise DataError(f"{name} is at a path that cannot be") from None
        reach = Reach.from_environment()
        if reach and not (found.is_relative_to(self.folder.resolve()) or reach.includes(found)):
            raise DataError(f"{name} is at a path out of the data roots; save it with its images")
        return found


def is_saved(folder: Path) -> bool:
    """Whether a folder is what `save_to_disk` of a data set, or of several splits, has made."""
    return (folder / _SPLITS).is_file() or _is_split(folder)


def splits(folder: Path) -> list[Path]:
    """The folder of each split; the folder itself if there are none.

    Raises:
        DataError: the list of splits leads elsewhere, or to what is none.
    """
    if _is_split(folder):
        return [folder]
    with readable(folder / _SPLITS):
        found = [folder / _plain(name) for name in read_json(folder / _SPLITS)["splits"]]
    for each in found:
        if not _is_split(each):
            raise DataError(f"{each} is no data set saved by `save_to_disk`")
    return found


def count_rows(folder: Path) -> int:
    """How many images a split has."""
    with readable(folder):
        return sum(batch.num_rows for batch in batches(folder))


def image_column(folder: Path) -> str:
    """The first column of a split that has the type Image.

    Raises:
        DataError: there is none.
    """
    with readable(folder / _INFO):
        features: dict[str, Any] = read_json(folder / _INFO)["features"]
        kinds = {name: feature.get("_type") for name, feature in features.items()}
    for name, kind in kinds.items():
        if kind == "Image":
            return name
    known = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
    raise DataError(f"{folder} has no column of the type Image; it has {known}")


def batches(folder: Path) -> Iterator["pa.RecordBatch"]:
    """The rows of a split, which stay on the disk until they are looked at."""
    for file in _files(folder):
        yield from _arrow().ipc.open_stream(_arrow().memory_map(str(file)))


def _files(folder: Path) -> Sequence[Path]:
    return [folder / _plain(file["filename"]) for file in read_json(folder / _STATE)["_data_files"]]


def _is_split(folder: Path) -> bool:
    return (folder / _STATE).is_file() and (folder / _INFO).is_file()


def _plain(name: str) -> str:
    """A name that leads nowhere else."""
    if Path(name).name != name:
        raise DataError(f"{name!r} is not the name of something in the folder")
    return name


def _arrow() -> Any:
    load_extra("pyarrow.ipc", "formats", "a data set of Hugging Face")
    return load_extra("pyarrow", "formats", "a data set of Hugging Face")
