"""Messages and the values they stand for, both ways side by side, a module for each resource."""

from google.protobuf.message import Message

from concord.credentials.model import ApiKey, OAuthClient, Password, SessionAt, SessionEpoch
from concord.credentials.wire.api_keys import api_key_to_wire
from concord.credentials.wire.clients import client_to_wire
from concord.credentials.wire.passwords import password_to_wire
from concord.credentials.wire.sessions import epoch_to_wire, session_to_wire


def snapshot(value: object) -> Message:
    """Return the message that stands for a value in a change event. No value holds a secret."""
    match value:
        case ApiKey():
            return api_key_to_wire(value)
        case SessionAt():
            return session_to_wire(value)
        case SessionEpoch():
            return epoch_to_wire(value)
        case Password():
            return password_to_wire(value)
        case OAuthClient():
            return client_to_wire(value)
    raise TypeError(f"no message stands for a {type(value).__name__}")
