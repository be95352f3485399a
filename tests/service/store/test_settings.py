from pathlib import Path

import pytest
from pydantic import ValidationError

from service.store.settings import Settings


def test_everything_lives_in_home_by_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings()
    home = tmp_path / "var"
    assert settings.database == f"sqlite:///{home}/paka.db"
    assert settings.redis == f"unix://{home}/redis.sock"
    assert settings.job_folder("job_1") == home / "artifacts" / "jobs" / "job_1"
    assert settings.roots == (home / "data", home / "uploads")


def test_settings_are_read_from_the_environment(tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to("/usr")
    for name, value in {
        "HOME": f"{tmp_path}/home",
        "DATABASE_URL": "postgresql://host/name",
        "REDIS_URL": "redis://host:6379/1",
        "ARTIFACTS": f"{tmp_path}/big/disk",
        "DATA_ROOTS": f'["{tmp_path}/link", "/data"]',
        "LEASE_SECONDS": "45",
    }.items():
        monkeypatch.setenv(f"PAKA_{name}", value)
    settings = Settings()
    assert settings.home_folder == tmp_path / "home"
    assert settings.database == "postgresql://host/name"
    assert settings.redis == "redis://host:6379/1"
    assert settings.artifacts_folder == tmp_path / "big" / "disk"
    assert settings.roots == (Path("/usr"), Path("/data"), tmp_path / "home" / "uploads")
    assert settings.lease_seconds == 45


@pytest.mark.parametrize("wrong", [{"lease_seconds": 0}, {"port": 65536}, {"max_attempts": 0}])
def test_a_setting_out_of_bounds_is_refused(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Settings(**wrong)
