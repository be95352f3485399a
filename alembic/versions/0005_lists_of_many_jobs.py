"""Indexes for lists of many jobs, and for what was started and used of late.

Revision ID: 0005
Revises: 0004
Create Date: 2026-11-24
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_jobs_kind_id": ("jobs", ["kind", "id"]),
    "ix_jobs_kind_status_id": ("jobs", ["kind", "status", "id"]),
    "ix_jobs_user_id_status_id": ("jobs", ["user_id", "status", "id"]),
    "ix_attempts_started_at": ("attempts", ["started_at"]),
    "ix_attempts_ended_at": ("attempts", ["ended_at"]),
}


def upgrade() -> None:
    for name, (table, columns) in INDEXES.items():
        op.create_index(name, table, columns)


def downgrade() -> None:
    for name, (table, _) in INDEXES.items():
        op.drop_index(name, table)
