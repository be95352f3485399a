"""What a worker prints: one line an event, with its time."""

import logging

from service.store.redact import redact_logs


def configure_logs(level: int | str) -> None:
    """Log to stderr from `level` on; Celery's word of every message's arrival is left out."""
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("celery.worker.strategy").setLevel(logging.WARNING)
    redact_logs()
