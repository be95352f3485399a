import logging

import pytest

from service.store.redact import redact, redact_logs
from service.store.settings import Settings

KEY = "paka_" + "0a" * 32


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("postgresql://paka:s3cret@db:5432/paka", "postgresql://paka:***@db:5432/paka"),
        ("to postgresql://u:a:b/c@d?e@db/x failed", "to postgresql://u:***@db/x failed"),
        ("redis://:s3cret@host:6379/0", "redis://:***@host:6379/0"),
        ("unix:///run/redis.sock?password=s3cret&db=1", "unix:///run/redis.sock?password=***&db=1"),
        ("host=db password=s3cret user=u", "host=db password=*** user=u"),
        (f"Authorization: Bearer {KEY}", "Authorization: Bearer paka_***"),
        (f"GET /jobs?key={KEY} 200", "GET /jobs?key=paka_*** 200"),
        ("http://host:8000/a and b@c", "http://host:8000/a and b@c"),
        ("no secret in paka_service or paka_jobs", "no secret in paka_service or paka_jobs"),
    ],
)  # fmt: skip
def test_secrets_are_taken_out(text, safe):
    assert redact(text) == safe


@pytest.mark.timeout(30)
@pytest.mark.parametrize("part", ["://a:", "://", "@://a:", "password=", "paka_", "paka_0a0a"])
def test_a_long_text_that_somebody_has_crafted_takes_no_time(part):
    redact(part * 2**18)
    redact(f"{part} " * 2**18)


def test_logs_hold_no_secret_not_even_in_a_traceback(capsys):
    logger, handler = logging.getLogger("some.library"), logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(name)s says %(message)s"))
    logger.addHandler(handler)
    try:
        redact_logs()
        redact_logs()
        logger.warning("no answer from %s", "redis://:s3cret@host")
        try:
            raise RuntimeError(f"bad key {KEY}")
        except RuntimeError:
            logger.exception("it failed")
    finally:
        logger.removeHandler(handler)
    printed = capsys.readouterr().err
    assert printed.startswith("some.library says no answer from redis://:***@host\n")
    assert "RuntimeError: bad key paka_***\n" in printed
    assert KEY not in printed


def test_settings_show_no_password():
    settings = Settings(database_url="postgresql://u:s3cret@h/d", redis_url="redis://:s3cret@h")
    assert "s3cret" not in repr(settings)
