"""Users and their keys, the audit log, attempts, slots; the life of a job as a trigger.

Revision ID: 0002
Revises: 0001
Create Date: 2026-11-24
"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

LOCAL_USER_ID = "usr_local"
TRANSITIONS = (
    ("queued", "running"),
    ("queued", "cancelled"),
    ("running", "queued"),
    ("running", "succeeded"),
    ("running", "failed"),
    ("running", "cancelled"),
    ("failed", "queued"),
    ("cancelled", "queued"),
)


def upgrade() -> None:
    _create_users()
    _create_audit_log()
    _create_attempts()
    _extend_jobs()
    _keep_attempts_that_run()
    _create_trigger()


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER jobs_status ON jobs")
        op.execute("DROP FUNCTION jobs_check_status()")
    else:
        op.execute("DROP TRIGGER jobs_status")
    with op.batch_alter_table("jobs") as batch:
        batch.drop_index("ix_jobs_user_id_id")
        batch.drop_constraint(op.f("uq_jobs_user_id_idempotency_key"), type_="unique")
        batch.drop_constraint(op.f("fk_jobs_user_id_users"), type_="foreignkey")
        for name in ("visibility_known", "priority_known", "slots_positive"):
            batch.drop_constraint(op.f(f"ck_jobs_{name}"), type_="check")
        for column in _new_columns():
            batch.drop_column(column.name)
        batch.create_unique_constraint(op.f("uq_jobs_idempotency_key"), ["idempotency_key"])
    for table in ("attempts", "audit_log", "api_keys", "users"):
        op.drop_table(table)


def _create_users() -> None:
    users = op.create_table(
        "users",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "role IN ('viewer', 'member', 'admin')", name=op.f("ck_users_role_known")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("name", name=op.f("uq_users_name")),
    )
    local = {"id": LOCAL_USER_ID, "name": "local", "role": "admin", "created_at": datetime.now(UTC)}
    op.bulk_insert(users, [local])
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("user_id", sa.String(40), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_api_keys_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("digest", name=op.f("uq_api_keys_digest")),
    )
    op.create_index(op.f("ix_api_keys_user_id"), "api_keys", ["user_id"])


def _create_audit_log() -> None:
    op.create_table(
        "audit_log",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("user_id", sa.String(40), nullable=True),
        sa.Column("user_name", sa.String(100), nullable=True),
        sa.Column("key_id", sa.String(40), nullable=True),
        sa.Column("address", sa.String(64), nullable=True),
        sa.Column("action", sa.String(60), nullable=False),
        sa.Column("target", sa.String(200), nullable=True),
        sa.Column("data", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    op.create_index(op.f("ix_audit_log_time"), "audit_log", ["time"])


def _create_attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ending", sa.String(16), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_attempts_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempts")),
        sa.UniqueConstraint("job_id", "attempt", name=op.f("uq_attempts_job_id_attempt")),
    )
    still_open = sa.text("ended_at IS NULL")
    op.create_index(
        "uq_attempts_open",
        "attempts",
        ["job_id"],
        unique=True,
        sqlite_where=still_open,
        postgresql_where=still_open,
    )
    op.create_index("ix_attempts_user_id_started_at", "attempts", ["user_id", "started_at"])


def _new_columns() -> list[sa.Column]:
    return [
        sa.Column("user_id", sa.String(40), nullable=True),
        sa.Column("visibility", sa.String(16), nullable=True),
        sa.Column("pinned", sa.Boolean(), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=True),
        sa.Column("slots", sa.Integer(), nullable=True),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=True),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("worker", sa.String(200), nullable=True),
        sa.Column("slot_ids", sa.JSON(), nullable=True),
        sa.Column("preempt_requested", sa.Boolean(), nullable=True),
        sa.Column("skipped", sa.JSON(), nullable=True),
    ]


def _extend_jobs() -> None:
    """Add the columns, fill them for the jobs that are there, and then demand them."""
    with op.batch_alter_table("jobs") as batch:
        for column in _new_columns():
            batch.add_column(column)
    jobs = sa.table(
        "jobs",
        *(sa.column(column.name, column.type) for column in _new_columns()),
        sa.column("created_at", sa.DateTime(timezone=True)),
    )
    op.execute(
        jobs.update().values(
            user_id=LOCAL_USER_ID,
            visibility="lab",
            pinned=False,
            priority=1,
            slots=1,
            queued_at=jobs.c.created_at,
            preempt_requested=False,
        )
    )
    with op.batch_alter_table("jobs") as batch:
        for name in ("user_id", "visibility", "pinned", "priority", "slots", "queued_at"):
            batch.alter_column(name, nullable=False)
        batch.alter_column("preempt_requested", nullable=False)
        batch.create_foreign_key(op.f("fk_jobs_user_id_users"), "users", ["user_id"], ["id"])
        batch.create_check_constraint(
            op.f("ck_jobs_visibility_known"), "visibility IN ('private', 'lab')"
        )
        batch.create_check_constraint(op.f("ck_jobs_priority_known"), "priority BETWEEN 0 AND 2")
        batch.create_check_constraint(op.f("ck_jobs_slots_positive"), "slots >= 1")
        batch.drop_constraint(op.f("uq_jobs_idempotency_key"), type_="unique")
        batch.create_unique_constraint(
            op.f("uq_jobs_user_id_idempotency_key"), ["user_id", "idempotency_key"]
        )
        batch.create_index("ix_jobs_user_id_id", ["user_id", "id"])


def _keep_attempts_that_run() -> None:
    op.execute(
        "INSERT INTO attempts (job_id, attempt, user_id, kind, owner, slots, started_at) "
        "SELECT id, attempt, user_id, kind, lease_owner, slots, started_at "
        "FROM jobs WHERE status = 'running'"
    )


def _create_trigger() -> None:
    legal = " OR ".join(
        f"(OLD.status = '{before}' AND NEW.status = '{after}')" for before, after in TRANSITIONS
    )
    illegal = f"OLD.status <> NEW.status AND NOT ({legal})"
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION jobs_check_status() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'jobs_status: job % is % and cannot become %', "
            "OLD.id, OLD.status, NEW.status USING ERRCODE = 'check_violation'; END $$"
        )
        op.execute(
            "CREATE TRIGGER jobs_status BEFORE UPDATE OF status ON jobs FOR EACH ROW "
            f"WHEN ({illegal}) EXECUTE FUNCTION jobs_check_status()"
        )
    else:
        op.execute(
            "CREATE TRIGGER jobs_status BEFORE UPDATE OF status ON jobs FOR EACH ROW "
            f"WHEN {illegal} BEGIN "
            "SELECT RAISE(ABORT, 'jobs_status: a job in this status cannot become that'); END"
        )
