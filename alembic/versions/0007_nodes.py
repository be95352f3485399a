"""Jobs of several nodes, and what each node's worker says of its part.

Revision ID: 0007
Revises: 0006
Create Date: 2026-11-26
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # With a default, so SQLite need not make the table anew and lose its trigger.
    op.add_column("jobs", sa.Column("nodes", sa.Integer(), server_default="1", nullable=False))
    op.create_table(
        "job_nodes",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String(200), nullable=False),
        sa.Column("slot_ids", sa.JSON(), nullable=False),
        sa.Column("rendezvous", sa.String(300), nullable=False),
        sa.Column("owner", sa.String(200), nullable=True),
        sa.Column("beats", sa.Integer(), nullable=False),
        sa.Column("ending", sa.String(16), nullable=True),
        sa.Column("problem", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_job_nodes_job_id_jobs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_nodes")),
        sa.UniqueConstraint("job_id", "rank", name=op.f("uq_job_nodes_job_id_rank")),
    )
    op.create_index("ix_job_nodes_worker", "job_nodes", ["worker"])


def downgrade() -> None:
    op.drop_table("job_nodes")
    op.drop_column("jobs", "nodes")
