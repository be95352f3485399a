"""The API as `paka-server` runs it: `uvicorn service.serve:create_app --factory`."""

import logging

from paka.process import quick_imports

with quick_imports():
    from fastapi import FastAPI

    from service import app
    from service.store.logs import configure_logs
    from service.store.settings import get_settings


def create_app() -> FastAPI:
    """Return the application, and have all that it and uvicorn log be printed in one form.

    uvicorn's own line for each request is left out: `service.requests` writes a better one.
    """
    settings = get_settings()
    for name in ("uvicorn", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], name == "uvicorn"
    configure_logs("INFO", settings.log_format)
    return app.create_app(settings)
