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
        return self._keyring.seal(secret.reveal().encode(), key_context(organization_id, key_id))

    def open(self, organization_id: OrganizationId, key_id: ApiKeyId, sealed: bytes) -> Secret:
        """Return the secret sealed for the row of one key."""
        return Secret(self._keyring.open(sealed, key_context(organization_id, key_id)).decode())

    def seal_seed(self, organization_id: OrganizationId, device_id: str, seed: Secret) -> bytes:
        """Encrypt the seed of a second factor for the row of one device."""
        return self._keyring.seal(seed.reveal().encode(), seed_context(organization_id, device_id))

    def open_seed(self, organization_id: OrganizationId, device_id: str, sealed: bytes) -> Secret:
        """Return the seed sealed for the row of one device."""
        return Secret(self._keyring.open(sealed, seed_context(organization_id, device_id)).decode())


def seed_context(organization_id: OrganizationId, device_id: str) -> bytes:
    """Return what the seed of a device is bound to."""
    return f"mfa_device\x1f{organization_id}\x1f{device_id}".encode()


def key_context(organization_id: OrganizationId, key_id: ApiKeyId) -> bytes:
    """Return what the secret of a key is bound to."""
    return f"api_key\x1f{organization_id}\x1f{key_id}".encode()
