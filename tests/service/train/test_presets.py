import pytest

from paka.presets import DEFAULT_PRESET, PRESETS, resolve

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_each_preset_is_shown_with_all_its_settings(api):
    shown = {one["name"]: one for one in api.get("/train/presets").json()["data"]}
    assert list(shown) == sorted(PRESETS)
    assert [name for name, one in shown.items() if one["default"]] == [DEFAULT_PRESET]
    for name, one in shown.items():
        config = resolve({"dataset": "photos", **one["settings"]}, DEFAULT_PRESET)
        assert config == resolve({"dataset": "photos"}, name)
        assert one["about"].endswith(".")
