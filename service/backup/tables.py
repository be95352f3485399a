"""Tables as lines of JSON, of any revision and either kind of database."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Connection, DateTime, MetaData, Table, insert, select

from service.store.base import UtcDateTime

VERSION_TABLE = "alembic_version"
_BATCH = 1000

Row = dict[str, Any]


def tables_of(connection: Connection) -> list[Table]:
    """Return the tables that there are, each after those that it refers to."""
    metadata = MetaData()
    metadata.reflect(connection)
    for table in metadata.tables.values():
        for column in table.columns:
            if isinstance(column.type, DateTime):
                column.type = UtcDateTime()
            elif isinstance(column.type, JSON):
                column.type = JSON(none_as_null=True)
    return [table for table in metadata.sorted_tables if table.name != VERSION_TABLE]


def read_rows(connection: Connection, table: Table) -> Iterator[Row]:
    """Yield a table's rows in the order of its key, without holding them all."""
    query = select(table).order_by(*table.primary_key.columns)
    result = connection.execution_options(yield_per=_BATCH).execute(query)
    for row in result.mappings():
        yield dict(row)


def insert_rows(connection: Connection, table: Table, rows: Iterable[Row]) -> int:
    """Add rows; return how many."""
    count = 0
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        count += 1
        if len(batch) == _BATCH:
            connection.execute(insert(table), batch)
            batch.clear()
    if batch:
        connection.execute(insert(table), batch)
    return count


def write_lines(file: Path, rows: Iterable[Row]) -> int:
    """Write rows as JSON lines; return how many."""
    count = 0
    with file.open("w") as target:
        for row in rows:
            target.write(json.dumps(row, default=datetime.isoformat) + "\n")
            count += 1
    return count


def read_lines(file: Path, table: Table) -> Iterator[Row]:
    """Yield the rows that `write_lines` wrote."""
    times = [column.name for column in table.columns if isinstance(column.type, UtcDateTime)]
    with file.open() as source:
        for line in source:
            row: Row = json.loads(line)
            yield {**row, **_times(row, times)}


def _times(row: Mapping[str, Any], names: Iterable[str]) -> Row:
    return {name: datetime.fromisoformat(row[name]) for name in names if row.get(name)}
