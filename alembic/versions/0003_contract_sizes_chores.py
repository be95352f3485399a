"""What a job asks of its worker, how large things are, and whose turn it is to tidy up.

Revision ID: 0003
Revises: 0002
Create Date: 2026-11-24
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table, column in _new_columns():
        op.add_column(table, column)
    _add_up_checkpoints()
    op.create_table(
        "chores",
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_chores")),
    )


def downgrade() -> None:
    op.drop_table("chores")
    for table, column in _new_columns():
        op.drop_column(table, column.name)


def _new_columns() -> list[tuple[str, sa.Column]]:
    """Each has a default in the database, or may be null: so SQLite need not make the table anew,
    which would drop the trigger on it.
    """
    return [
        ("jobs", sa.Column("contract", sa.Integer(), nullable=False, server_default="1")),
        ("jobs", sa.Column("files_bytes", sa.BigInteger(), nullable=True)),
        ("jobs", sa.Column("collected_at", sa.DateTime(timezone=True), nullable=True)),
        ("checkpoints", sa.Column("bytes", sa.BigInteger(), nullable=False, server_default="0")),
    ]


def _add_up_checkpoints() -> None:
    postgresql = op.get_context().dialect.name == "postgresql"
    size = "(value ->> 'bytes')::bigint" if postgresql else "json_extract(value, '$.bytes')"
    op.execute(
        f"UPDATE checkpoints SET bytes = "  # noqa: S608  `size` is one of the two above
        f"(SELECT coalesce(sum({size}), 0) FROM json_each(checkpoints.files))"
    )
