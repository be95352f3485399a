"""What a worker prints: one line an event, with its time."""

import logging

from service.store.redact import redact_logs


def configure_logs(level: int | str) -> None:
    """Log to stderr from `level` on; what comes every few seconds is left out."""
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("celery.worker.strategy", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    redact_logs()
