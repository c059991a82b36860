"""How secrets are kept: as a keyed hash, and where one must be shown again, sealed as well."""

from typing import Final

from concord.kernel.ids import ApiKeyId, OrganizationId
from concord.kernel.keyring import Keyring
from concord.kernel.secret import Secret, SecretHash, SecretHasher

_NOBODYS: Final = SecretHash(bytes(32))


class Vault:
    """Hashes and seals secrets under the deployment's keys."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._hasher = SecretHasher(keyring.hashing_key())

    def hash(self, secret: Secret) -> SecretHash:
        """Return the hash under which a secret is stored and found."""
        return self._hasher.hash(secret)

    def matches(self, shown: SecretHash, stored: SecretHash | None) -> bool:
        """Compare in constant time, also where there is nothing to compare with."""
        return shown.matches(stored or _NOBODYS) and stored is not None

    def seal(self, organization_id: OrganizationId, key_id: ApiKeyId, secret: Secret) -> bytes:
        """Encrypt a secret for the row of one key; it opens nowhere else."""
        return self._keyring.seal(secret.reveal().encode(), _context(organization_id, key_id))

    def open(self, organization_id: OrganizationId, key_id: ApiKeyId, sealed: bytes) -> Secret:
        """Return the secret sealed for the row of one key."""
        return Secret(self._keyring.open(sealed, _context(organization_id, key_id)).decode())


def _context(organization_id: OrganizationId, key_id: ApiKeyId) -> bytes:
    return f"api_key\x1f{organization_id}\x1f{key_id}".encode()
