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


@pytest.mark.parametrize(
    ("host", "auth", "needs_keys"),
    [
        ("127.0.0.1", "auto", False),
        ("localhost", "off", False),
        ("::1", "on", True),
        ("0.0.0.0", "auto", True),
        ("lab.example", "auto", True),
        ("10.0.0.1", "on", True),
    ],
)
def test_keys_are_needed_unless_only_this_machine_can_ask(host, auth, needs_keys):
    assert Settings(host=host, auth=auth).needs_keys is needs_keys


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "lab.example", "127.0.0.1.example.org"])
def test_a_server_without_keys_that_others_can_reach_is_refused(host):
    with pytest.raises(ValidationError, match=f"a server on {host} is open to other machines"):
        Settings(host=host, auth="off")


def test_the_secret_is_never_shown():
    settings = Settings(secret_key="s" * 32)
    assert "ssss" not in repr(settings) + str(settings) + str(settings.model_dump())
    with pytest.raises(ValidationError, match="at least 32") as raised:
        Settings(secret_key="tooshort")
    assert "tooshort" not in str(raised.value)
