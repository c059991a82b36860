"""Messages and the values they stand for, both ways side by side, a module for each resource."""

from google.protobuf.message import Message

from concord.credentials.model.api_keys import ApiKey
from concord.credentials.model.clients import ClientSecret, OAuthClient
from concord.credentials.model.federations import Certificate, FederationAt
from concord.credentials.model.logins import MfaDevice
from concord.credentials.model.passwords import Password
from concord.credentials.model.sessions import SessionAt, SessionEpoch
from concord.credentials.model.ssh_keys import SshKey
from concord.credentials.model.tokens import Consent, SigningKey
from concord.credentials.model.trust import TrustPolicy
from concord.credentials.wire.api_keys import api_key_to_wire
from concord.credentials.wire.clients import client_to_wire, secret_to_wire
from concord.credentials.wire.federations import certificate_to_wire, federation_to_wire
from concord.credentials.wire.mfa import device_to_wire
from concord.credentials.wire.oauth import consent_to_wire, signing_key_to_wire
from concord.credentials.wire.passwords import password_to_wire
from concord.credentials.wire.sessions import epoch_to_wire, session_to_wire
from concord.credentials.wire.ssh_keys import ssh_key_to_wire
from concord.credentials.wire.trust_policies import trust_policy_to_wire


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
        case MfaDevice():
            return device_to_wire(value)
        case OAuthClient():
            return client_to_wire(value)
        case SshKey():
            return ssh_key_to_wire(value)
        case TrustPolicy():
            return trust_policy_to_wire(value)
        case FederationAt():
            return federation_to_wire(value)
        case Certificate():
            return certificate_to_wire(value)
        case ClientSecret():
            return secret_to_wire(value)
        case Consent():
            return consent_to_wire(value)
        case SigningKey():
            return signing_key_to_wire(value)
    raise TypeError(f"no message stands for a {type(value).__name__}")
