"""What credentials asks of its storage. Every promise is written here and tested for every engine.

Methods take the caller's organization, except those under *directory*: they are the few
deployment-wide lookups that turn a shown credential into an organization. Another
organization's id answers exactly as an unknown one. Writes to one organization never overlap.
"""

from typing import Protocol

from concord.credentials.store.api_keys import ApiKeys
from concord.credentials.store.clients import Clients
from concord.credentials.store.directory import Directory
from concord.credentials.store.federations import Federations
from concord.credentials.store.logins import Attempts, Doors, OneTimeTokens, SecondFactors
from concord.credentials.store.passwords import Passwords
from concord.credentials.store.replicas import Replicas
from concord.credentials.store.sealed import Sealed
from concord.credentials.store.sessions import Sessions
from concord.credentials.store.ssh_keys import SshKeys
from concord.credentials.store.tokens import Grants, SigningKeys
from concord.credentials.store.trust import Trust


class CredentialStore(
    Directory,
    ApiKeys,
    Sessions,
    Passwords,
    Clients,
    Replicas,
    Doors,
    Attempts,
    SecondFactors,
    OneTimeTokens,
    Grants,
    SigningKeys,
    SshKeys,
    Trust,
    Federations,
    Sealed,
    Protocol,
):
    """All that credentials stores."""
