"""Every error that `paka` raises on purpose.

    PakaError
    ├── ConfigError       settings that cannot work
    ├── DataError         a data set or an image that cannot be read
    ├── EncoderError      an unknown architecture, or weights that cannot be found or do not fit
    ├── CheckpointError   a checkpoint that is missing, torn or from another run
    ├── ExportError       an export that cannot be made, or does not compute what its encoder does
    └── TrainingError     a run that cannot go on (non-finite loss, folder in use)

Each message says what went wrong, with which value, and what would be right.
"""


class PakaError(Exception):
    """Base of all errors raised on purpose by `paka`."""


class ConfigError(PakaError):
    """The settings cannot work."""


class DataError(PakaError):
    """A data set or an image cannot be read."""


class EncoderError(PakaError):
    """An architecture is unknown, or its weights cannot be found or do not fit."""


class CheckpointError(PakaError):
    """A checkpoint is missing, torn, or belongs to another run."""


class ExportError(PakaError):
    """An encoder cannot be exported, or its export does not compute the same."""


class TrainingError(PakaError):
    """The run cannot go on."""


def one_line(error: Exception) -> str:
    """The message alone: an error out of a loading process has that one's traceback before it."""
    full_name = f"{type(error).__module__}.{type(error).__qualname__}"
    return str(error).strip().splitlines()[-1].removeprefix(f"{full_name}: ")
