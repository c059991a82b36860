"""The servicers: unpack, call, pack. What all rpcs share is in the chain."""

from concord.credentials.handlers.api_keys import ApiKeyHandlers
from concord.credentials.handlers.authentication import AuthenticationHandlers
from concord.credentials.handlers.clients import OAuthClientHandlers
from concord.credentials.handlers.door import Door
from concord.credentials.handlers.federations import FederationHandlers
from concord.credentials.handlers.logins import Logins
from concord.credentials.handlers.mfa import MfaHandlers
from concord.credentials.handlers.oauth import OAuthHandlers
from concord.credentials.handlers.passwords import PasswordHandlers, StatusHandlers
from concord.credentials.handlers.sessions import SessionHandlers
from concord.credentials.handlers.ssh_keys import SshKeyHandlers
from concord.credentials.handlers.trust_policies import TrustPolicyHandlers

__all__ = [
    "ApiKeyHandlers",
    "AuthenticationHandlers",
    "Door",
    "FederationHandlers",
    "Logins",
    "MfaHandlers",
    "OAuthClientHandlers",
    "OAuthHandlers",
    "PasswordHandlers",
    "SessionHandlers",
    "SshKeyHandlers",
    "StatusHandlers",
    "TrustPolicyHandlers",
]
