import json
import logging
import threading
from contextlib import contextmanager

import pytest

from service.store.logs import JsonFormatter, TextFormatter, as_json_of, log_context
from service.store.redact import Redacting, redact_logs

KEY = "paka_" + "0a" * 32


@pytest.fixture
def printed(capsys):
    """Returns a logger that prints by a formatter, and what it has printed, line by line."""
    logger = logging.getLogger("some.part")

    @contextmanager
    def using(formatter):
        handler = logging.StreamHandler()
        handler.setFormatter(formatter)
        logger.addHandler(handler)
        try:
            redact_logs()
            yield logger, lambda: capsys.readouterr().err.splitlines()
        finally:
            logger.removeHandler(handler)

    return using


def test_a_json_line_has_its_ids_and_its_fields(printed):
    with printed(JsonFormatter({"worker": "host:1"})) as (logger, lines):
        with log_context(job_id="job_1", attempt=2), log_context(request_id="req_1"):
            logger.warning("step %d", 3, extra={"fields": {"seconds": 0.5}})
        logger.warning("later")
        first, second = map(json.loads, lines())
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "level": "warning", "logger": "some.part", "message": "step 3", "worker": "host:1",
        "job_id": "job_1", "attempt": 2, "request_id": "req_1", "seconds": 0.5,
    }  # fmt: skip
    assert second.keys() == {"time", "level", "logger", "message", "worker"}


@pytest.mark.parametrize(
    "message",
    [
        f"no {KEY}, nor redis://:s3cret@host",
        '{"url":"redis://:s3cret@host","a":1}',
        '{"dsn": "host=db password=s3cret"}',
        "two\nlines and a \u2028 separator",
    ],
)
def test_a_secret_is_taken_out_and_the_line_stays_json(printed, message):
    with printed(JsonFormatter({})) as (logger, lines):
        try:
            raise RuntimeError(message)
        except RuntimeError:
            logger.exception("%s", message, extra={"fields": {"path": message}})
        [line] = lines()
    fields = json.loads(line)
    assert "RuntimeError" in fields["exception"]
    assert "s3cret" not in line
    assert KEY not in line


def test_text_names_the_ids_that_the_message_does_not(printed):
    with printed(Redacting(TextFormatter())) as (logger, lines):
        with log_context(job_id="job_1", attempt=2, request_id="req_1"):
            logger.warning("hello from redis://:s3cret@host")
            logger.warning("req_1 again")
        logger.warning("plain")
        first, second, third = lines()
    assert first.endswith("WARNING some.part: hello from redis://:***@host [job_1/2 req_1]")
    assert second.endswith("req_1 again [job_1/2]")
    assert third.endswith("WARNING some.part: plain")


def test_threads_do_not_see_each_others_ids(printed):
    with printed(JsonFormatter({})) as (logger, lines):
        with log_context(job_id="job_1"):
            other = threading.Thread(target=lambda: logger.warning("from elsewhere"))
            other.start()
            other.join()
        [line] = lines()
    assert "job_id" not in json.loads(line)


def test_a_part_is_added_to_json_and_what_is_none_becomes_some():
    line = json.dumps({"time": "now", "message": "here"})
    assert json.loads(as_json_of("api", line)) == {"time": "now", "message": "here", "part": "api"}
    for other in ("1:M Ready to accept connections", "17", "[]", ""):
        fields = json.loads(as_json_of("redis", other))
        assert (fields["part"], fields["message"]) == ("redis", other)
        assert fields.keys() == {"time", "level", "logger", "message", "part"}
