"""The tables of users, sessions and tokens, and the history of changes to them. Times are epoch seconds."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, ForeignKey, Index, Integer, Table, Text

from store_forward.database import METADATA

users = Table(
    "users",
    METADATA,
    Column("name", Text, primary_key=True),  # as names.fit_name makes it
    Column("role", Text, nullable=False),
    Column("sees_patients", Boolean, nullable=False),
    Column("password_hash", Text, nullable=False),  # Argon2id
    Column("added_at", Float, nullable=False),
    Column("password_at", Float, nullable=False),
    Column("locked_at", Float),
    Column("signed_in_at", Float),
)

sessions = Table(
    "sessions",
    METADATA,
    Column("token_digest", Text, primary_key=True),  # SHA-256; the token itself is in the browser only
    Column("user", Text, ForeignKey("users.name", ondelete="CASCADE"), nullable=False),
    Column("began_at", Float, nullable=False),
    Column("used_at", Float, nullable=False),
    Column("address", Text, nullable=False),
    Column("browser", Text, nullable=False),
    Index("sessions_by_user", "user"),
)

#: Those who come by an OpenID provider's word: ``issuer`` and ``subject`` are its ``iss`` and ``sub``.
vouched_users = Table(
    "vouched_users",
    METADATA,
    Column("issuer", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("user", Text, ForeignKey("users.name", ondelete="CASCADE"), nullable=False, unique=True),
)

#: Of programs. ``scope`` is a word of tokens.Scope.
api_tokens = Table(
    "api_tokens",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("token_digest", Text, nullable=False, unique=True),
    Column("scope", Text, nullable=False),
    Column("sees_patients", Boolean, nullable=False),
    Column("added_at", Float, nullable=False),
    Column("added_by", Text, nullable=False),
    Column("expires_at", Float),
)

#: What was changed about users and tokens, and by whom; empty ``by``: at the console.
people_events = Table(
    "people_events",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("by", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("about", Text, nullable=False),
    Column("detail", Text, nullable=False, default=""),
)
