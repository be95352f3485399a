"""The presets as `GET /train/presets` shows them: what holds where a request is silent."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from paka.presets import ABOUT, DEFAULT_PRESET, PRESETS, resolve

EXAMPLE: dict[str, Any] = {
    "name": "tiny",
    "about": ABOUT["tiny"],
    "default": False,
    "settings": {"views": {"global_size": 128}, "optim": {"batch_size": 16, "max_steps": 80}},
}


class PresetView(BaseModel):
    """One preset."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    name: str = Field(description="What to give as `preset`.")
    about: str = Field(description="What it is for, and what it takes.")
    default: bool = Field(description="Whether it is taken where a request names none.")
    settings: dict[str, Any] = Field(
        description="All settings of a run with it, as they stand beside `dataset`."
    )


class PresetList(BaseModel):
    """All presets, by name."""

    data: list[PresetView]


def list_presets() -> PresetList:
    """Every preset with all its settings."""
    return PresetList(
        data=[
            PresetView(
                name=name,
                about=ABOUT[name],
                default=name == DEFAULT_PRESET,
                settings=_settings(name),
            )
            for name in sorted(PRESETS)
        ]
    )


def _settings(name: str) -> dict[str, Any]:
    config = resolve({"dataset": "any"}, name)
    return config.model_dump(mode="json", exclude={"dataset"})
