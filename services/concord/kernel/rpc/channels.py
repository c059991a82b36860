"""Channels to siblings in other processes."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from concord.kernel.errors import Unavailable
from concord.kernel.rpc.inprocess import MAXIMUM_MESSAGE


@dataclass(frozen=True, slots=True)
class ChannelTls:
    """Whom to trust at the other end, and what to show it where it asks for a certificate."""

    authority: Path
    certificate: Path | None = None
    key: Path | None = None


def open_channel(
    address: str, tls: ChannelTls | None = None, maximum_message: int = MAXIMUM_MESSAGE
) -> grpc.aio.Channel:
    """Return a channel to `host:port`. It connects at its first call and again whenever it must."""
    options: list[tuple[str, Any]] = [
        ("grpc.max_receive_message_length", maximum_message),
        ("grpc.max_send_message_length", -1),
        # A peer that vanished without a word is noticed in under a minute, also while a stream is silent.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2_000),
        # Proxies of the environment are for the outside world.
        ("grpc.enable_http_proxy", 0),
    ]
    if tls is None:
        return grpc.aio.insecure_channel(address, options=options)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=tls.authority.read_bytes(),
        private_key=None if tls.key is None else tls.key.read_bytes(),
        certificate_chain=None if tls.certificate is None else tls.certificate.read_bytes(),
    )
    return grpc.aio.secure_channel(address, credentials, options=options)


async def wait_until_ready(channel: grpc.aio.Channel, seconds: float, name: str) -> None:
    """Wait for the other end to answer; raise Unavailable with the sibling's name when it does not in time."""
    try:
        async with asyncio.timeout(seconds):
            await channel.channel_ready()
    except TimeoutError:
        raise Unavailable(f"the service `{name}` did not answer within {seconds:g} s") from None
