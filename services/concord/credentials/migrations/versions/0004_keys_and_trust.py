"""Former keys, SSH keys, trust, federation. Written out and never edited: later forms are later migrations."""

import sqlalchemy as sa
from alembic import op

from concord.kernel.database.columns import Bytes, Id, Instant, Json, Text

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create it."""
    op.add_column("api_key", sa.Column("rotate_time", Instant))
    op.add_column("api_key", sa.Column("former_expire_time", Instant))
    op.add_column("mfa_device", sa.Column("owed_time", Instant))
    op.create_index(
        "api_key_sealed",
        "api_key",
        ["organization_id", "id"],
        sqlite_where=sa.text("sealed_secret IS NOT NULL"),
        postgresql_where=sa.text("sealed_secret IS NOT NULL"),
    )
    op.create_table(
        "former_key",
        sa.Column("access_id", Text, primary_key=True),
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("key_id", Id, nullable=False),
        sa.Column("secret_hash", Bytes, nullable=False),
        sa.Column("lookup_hash", Bytes),
        sa.Column("expire_time", Instant, nullable=False),
    )
    op.create_index("former_key_key", "former_key", ["organization_id", "key_id"])
    op.create_index("former_key_lookup_hash", "former_key", ["lookup_hash"], unique=True)
    _create_ssh_keys()
    _create_trust()
    _create_federations()


def _create_ssh_keys() -> None:
    op.create_table(
        "ssh_key",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("public_key", Text, nullable=False),
        sa.Column("algorithm", Text, nullable=False),
        sa.Column("bits", sa.Integer, nullable=False),
        sa.Column("fingerprint", Text, nullable=False),
        sa.Column("fingerprint_sha256", Text, nullable=False),
        sa.Column("project_id", Id, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("catalogue", Text, nullable=False),
        sa.Column("attributes", Json, nullable=False),
        sa.Column("create_time", Instant, nullable=False),
        sa.Column("update_time", Instant, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id"),
    )
    op.create_index("ssh_key_fingerprint", "ssh_key", ["organization_id", "project_id", "fingerprint_sha256"])


def _create_trust() -> None:
    op.create_table(
        "trust_policy",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("user_id", Id, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("language", Text, nullable=False),
        sa.Column("document", Text, nullable=False),
        sa.Column("trusted", Json, nullable=False),
        sa.Column("create_time", Instant, nullable=False),
        sa.Column("update_time", Instant, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "user_id"),
    )
    op.create_table(
        "assumption",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("session_id", Id, nullable=False),
        sa.Column("caller_organization_id", Id, nullable=False),
        sa.Column("caller", Text, nullable=False),
        sa.Column("caller_key_id", Id),
        sa.Column("caller_session_id", Id),
        sa.PrimaryKeyConstraint("organization_id", "session_id", "caller_organization_id", "caller"),
    )
    op.create_index("assumption_caller", "assumption", ["caller_organization_id", "caller"])
    op.create_index("assumption_key", "assumption", ["caller_organization_id", "caller_key_id"])
    op.create_index("assumption_session", "assumption", ["caller_organization_id", "caller_session_id"])


def _create_federations() -> None:
    op.create_table(
        "federation",
        sa.Column("organization_id", Id, primary_key=True),
        sa.Column("id", Id, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("kind", Text, nullable=False),
        sa.Column("entity_id", Text, nullable=False),
        sa.Column("single_sign_on_url", Text, nullable=False),
        sa.Column("attributes", Json, nullable=False),
        sa.Column("create_time", Instant, nullable=False),
        sa.Column("update_time", Instant, nullable=False),
    )
    op.create_table(
        "federation_certificate",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("federation_id", Id, nullable=False),
        sa.Column("type", Text, nullable=False),
        sa.Column("origin", Text, nullable=False),
        sa.Column("content", Text, nullable=False),
        sa.Column("expire_time", Instant, nullable=False),
        sa.Column("fingerprint", Text, nullable=False),
        sa.Column("subject", Text, nullable=False),
        sa.Column("create_time", Instant, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id"),
    )
    op.create_index("federation_certificate_federation", "federation_certificate", ["organization_id", "federation_id"])
