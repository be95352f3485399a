"""Whose turn it is, among several processes, to do what has to be done from time to time."""

from datetime import timedelta

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from service.store.base import utc_now
from service.store.models import Chore
from service.store.session import Database


def take(database: Database, name: str, every_seconds: float) -> bool:
    """Whether the caller should do it now; then nobody else is told so for `every_seconds`.

    If the one that was told so dies, another does it next time.
    """
    now = utc_now()
    after = now + timedelta(seconds=every_seconds)
    with database.write() as session:
        taken = session.scalar(
            update(Chore)
            .where(Chore.name == name, Chore.next_at <= now)
            .values(next_at=after)
            .returning(Chore.name)
        )
        if taken or session.scalar(select(Chore.name).where(Chore.name == name)):
            return taken is not None
    try:
        with database.write() as session:
            session.execute(insert(Chore).values(name=name, next_at=after))
    except IntegrityError:  # another process was faster
        return False
    return True
