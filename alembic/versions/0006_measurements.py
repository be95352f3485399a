"""What trainings have measured, and how long a job is thought to take.

Revision ID: 0006
Revises: 0005
Create Date: 2026-11-24
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "measurements",
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("device", sa.String(200), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("step_seconds", sa.Double(), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=False),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_measurements")),
    )
    op.create_index("ix_measurements_device_measured_at", "measurements", ["device", "measured_at"])
    # Null where it is unknown, so SQLite need not make the table anew and lose its trigger.
    op.add_column("jobs", sa.Column("expected_seconds", sa.Double(), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "expected_seconds")
    op.drop_table("measurements")
