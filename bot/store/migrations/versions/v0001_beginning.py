"""The beginning: requests, incidents, looks, followers, messages and the audit."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    _incidents()
    _requests()
    _looks()
    _followers()
    _messages()
    _audit()


def _incidents() -> None:
    op.create_table(
        "incidents",
        sa.Column("id", sa.Integer(), nullable=False),
        *_required(sa.Text, "cluster", "node", "channel", "thread", "person", "team"),
        *_required(sa.Double, "asked_at", "opened_at"),
        *_required(sa.Text, "state"),
        *_required(sa.Integer, "looks", "attempts"),
        *_required(sa.Boolean, "exact", "deep"),
        *_required(sa.Text, "note", "verdict", "headline", "worst"),
        sa.Column("looked_at", sa.Double()),
        *_required(sa.Boolean, "is_open"),
        *_required(sa.Text, "worker"),
        *_required(sa.Double, "lease_until"),
        sa.PrimaryKeyConstraint("id", name="pk_incidents"),
    )
    is_open = sa.text("is_open")
    op.create_index(
        "uq_incidents_open",
        "incidents",
        ["cluster", "node"],
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    op.create_index("ix_incidents_state", "incidents", ["state", "asked_at"])


def _requests() -> None:
    op.create_table(
        "requests",
        sa.Column("number", sa.Integer(), nullable=False),
        *_required(sa.Text, "key", "content", "worker"),
        *_required(sa.Double, "lease_until"),
        *_required(sa.Boolean, "is_done"),
        sa.Column("incident", sa.Integer()),
        *_required(sa.Boolean, "is_joined"),
        sa.ForeignKeyConstraint(["incident"], ["incidents.id"], name="fk_requests_incident"),
        sa.PrimaryKeyConstraint("number", name="pk_requests"),
        sa.UniqueConstraint("key", name="uq_requests_key"),
    )
    op.create_index("ix_requests_undone", "requests", ["is_done", "number"])


def _looks() -> None:
    op.create_table(
        "looks",
        *_required(sa.Integer, "incident", "number"),
        *_required(sa.Text, "state"),
        *_required(sa.Double, "started_at", "ended_at"),
        *_required(sa.Text, "why", "report", "picture", "document"),
        *_required(sa.LargeBinary, "recording"),
        *_required(sa.Boolean, "is_told"),
        *_required(sa.Double, "lease_until"),
        sa.ForeignKeyConstraint(["incident"], ["incidents.id"], name="fk_looks_incident"),
        sa.PrimaryKeyConstraint("incident", "number", name="pk_looks"),
    )
    op.create_index("ix_looks_untold", "looks", ["is_told", "ended_at"])


def _followers() -> None:
    op.create_table(
        "followers",
        sa.Column("number", sa.Integer(), nullable=False),
        *_required(sa.Integer, "incident"),
        *_required(sa.Text, "person", "team", "channel", "thread"),
        sa.ForeignKeyConstraint(["incident"], ["incidents.id"], name="fk_followers_incident"),
        sa.PrimaryKeyConstraint("number", name="pk_followers"),
        sa.UniqueConstraint("incident", "channel", "thread", name="uq_followers_incident_channel_thread"),
    )


def _messages() -> None:
    op.create_table(
        "messages",
        sa.Column("number", sa.Integer(), nullable=False),
        *_required(sa.Text, "key", "channel", "kind", "body"),
        sa.Column("incident", sa.Integer()),
        *_required(sa.Text, "under"),
        *_required(sa.LargeBinary, "file"),
        *_required(sa.Text, "person", "answer_url"),
        *_required(sa.Integer, "version", "sent_version", "turn"),
        *_required(sa.Boolean, "is_due", "is_out", "is_doubtful"),
        *_required(sa.Text, "ts", "thread_ts"),
        *_required(sa.Integer, "attempts"),
        *_required(sa.Double, "retry_at"),
        *_required(sa.Text, "failure"),
        sa.PrimaryKeyConstraint("number", name="pk_messages"),
        sa.UniqueConstraint("key", name="uq_messages_key"),
    )
    op.create_index("ix_messages_due", "messages", ["is_due", "channel", "turn", "number"])
    op.create_index("ix_messages_turn", "messages", ["turn"])
    op.create_index("ix_messages_incident", "messages", ["incident"])


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        *_required(sa.Double, "at"),
        *_required(sa.Text, "actor", "event"),
        sa.Column("incident", sa.Integer()),
        *_required(sa.Text, "detail", "previous", "digest"),
        sa.PrimaryKeyConstraint("number", name="pk_audit"),
    )
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        *_required(sa.Integer, "number"),
        *_required(sa.Text, "digest"),
        sa.PrimaryKeyConstraint("id", name="pk_audit_head"),
    )
    op.bulk_insert(head, [{"id": 1, "number": 0, "digest": "0" * 64}])


def _required(kind: type[sa.types.TypeEngine[Any]], *names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind(), nullable=False) for name in names]
