"""What handlers need to make tokens: keys that are ready, and the address under which the issuer is known."""

from concord.credentials.background.key_turning import KeyTurner
from concord.credentials.operations.tokens import Mint
from concord.credentials.secrets.signing import Signer, check_issuer
from concord.credentials.secrets.vault import Vault
from concord.kernel.config import GATEWAY, BadSetting
from concord.kernel.errors import Invalid, Violation
from concord.kernel.rpc.call import Call


class Minting:
    """Gives operations what making tokens needs."""

    def __init__(self, vault: Vault, signer: Signer, turner: KeyTurner, issuer: str) -> None:
        self.turner = turner
        self._vault = vault
        self._signer = signer
        # Without one no token would say by whom and for whom it is: that is refused at start.
        self._issuer = check_issuer(issuer, "CONCORD_ISSUER")

    async def mint(self, issuer: str = "") -> Mint:
        """Return what making tokens needs, once there are keys that sign."""
        await self.turner.ready()
        return Mint(self._vault, self._signer, self.issuer(issuer))

    def issuer(self, said: str = "") -> str:
        """Return the issuer's address: the setting, or what the gateway says, which knows where it listens."""
        if not said or not is_forwarded():
            return self._issuer
        try:
            return check_issuer(said, "issuer")
        except BadSetting as error:
            raise Invalid(Violation("issuer", str(error), rule="pattern")) from None


def is_forwarded() -> bool:
    """Tell whether the gateway calls, or passes a call on: it alone knows its address and its connections."""
    return Call.current().forwarder == GATEWAY
