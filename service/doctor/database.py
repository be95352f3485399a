"""Whether the database answers, and has the tables of this version."""

import time
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import make_url, text
from sqlalchemy.exc import SQLAlchemyError

from paka.doctor.finding import Finding, not_applicable, ok, problem, warning
from service.doctor import home
from service.doctor.clock import judge
from service.store.migrate import current_revision
from service.store.redact import redact
from service.store.session import make_engine
from service.store.settings import Settings
from service.store.versions import mismatch


def check(settings: Settings, mounts: Path = home.MOUNTS) -> Iterator[Finding]:
    """Of SQLite only a file that is there is opened, since opening would make one."""
    url = make_url(settings.database)
    is_sqlite = url.get_backend_name() == "sqlite"
    if is_sqlite:
        file = Path(url.database or "")
        if not file.exists():
            yield not_applicable("database", f"{file} will be made at the first start")
            return
        if kind := home.network_file_system(file.resolve(), mounts):
            found = f"{file} is on {kind}, where SQLite's locks cannot be relied upon"
            yield warning("database", found, "PAKA_HOME on a local disk, or PostgreSQL")
    try:
        trouble = mismatch(current_revision(settings.database))
        yield _judge(url.get_backend_name(), trouble)
        if not is_sqlite:
            yield judge("database", _skew(settings.database))
    except SQLAlchemyError as error:
        reason = redact(str(getattr(error, "orig", error)).strip().splitlines()[0])
        yield problem(
            "database", f"does not answer: {reason}", "start it, or mend PAKA_DATABASE_URL"
        )


def _judge(kind: str, trouble: str | None) -> Finding:
    if trouble is None:
        return ok("database", f"{kind}, with the tables of this version")
    found, _, remedy = trouble.rpartition(": ")
    return problem("database", found, remedy.replace("run `", "").replace("`", ""))


def _skew(url: str) -> float:
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            before = time.time()
            theirs = connection.scalar(text("SELECT extract(epoch FROM clock_timestamp())"))
            return float(theirs) - (before + time.time()) / 2
    finally:
        engine.dispose()
