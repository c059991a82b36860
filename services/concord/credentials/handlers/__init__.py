"""The servicers: unpack, call, pack. What all rpcs share is in the chain."""

from concord.credentials.handlers.api_keys import ApiKeyHandlers
from concord.credentials.handlers.authentication import AuthenticationHandlers
from concord.credentials.handlers.clients import OAuthClientHandlers
from concord.credentials.handlers.passwords import PasswordHandlers, StatusHandlers
from concord.credentials.handlers.sessions import SessionHandlers

__all__ = [
    "ApiKeyHandlers",
    "AuthenticationHandlers",
    "OAuthClientHandlers",
    "PasswordHandlers",
    "SessionHandlers",
    "StatusHandlers",
]
