"""TLS over TCP, with a certificate on both sides: who has none that our authority has signed gets no byte of HTTP.

A port without TLS, or without certificates of clients, does not exist here: it would make everybody who reaches it root.
The sockets are those of the `ssl` module, read and written as others are (`sockets.py`); what differs is in this file.
"""

from __future__ import annotations

import socket
import ssl
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import anyio
import attrs
from msgspec.structs import replace

from daemon.errors import Cancelled, System
from daemon.http.connection import TooSlow
from daemon.http.message import Peer


@attrs.frozen(kw_only=True)
class TlsFiles:
    """PEM files: our certificate, with those between it and its root, its key, and the authority of clients."""

    certificate: Path
    key: Path
    authority: Path


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """Raises System: they cannot be read, do not fit each other, or others may read the key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["http/1.1"])
    # The end of a connection is no fault to send an alert for: ours we end ourselves, and a request has its own end.
    context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF
    try:
        if files.key.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
            raise System(f"everybody may read the key {files.key}: it should have mode 0600")
        context.load_verify_locations(cafile=files.authority)
    except OSError as error:
        raise System(f"cannot use the authority {files.authority} or the key {files.key}: {_reason(error)}") from error
    try:
        context.load_cert_chain(files.certificate, files.key, password=_no_password)
    except (OSError, ValueError) as error:
        raise System(f"cannot use the certificate {files.certificate} and its key: {_reason(error)}") from error
    return context


def _no_password() -> str:
    raise ValueError("it is encrypted")


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not PEM").lower().replace("_", " ")
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


async def shake_hands(peer: ssl.SSLSocket, client: Peer, timeout_s: float) -> Peer:
    """Who it is, as its certificate says.

    Raises:
        TooSlow: it has not said so in time.
        Cancelled: it has gone, or is nobody we may speak to.
    """
    with anyio.move_on_after(timeout_s) as scope:
        while True:
            try:
                peer.do_handshake()
                return _named(peer, client)
            except ssl.SSLWantReadError:
                await anyio.wait_readable(peer)
            except ssl.SSLWantWriteError:
                await anyio.wait_writable(peer)
            except OSError as error:
                raise Cancelled(f"no TLS: {_reason(error)}") from error
    assert scope.cancelled_caught
    raise TooSlow("no TLS in time")


def _named(peer: ssl.SSLSocket, client: Peer) -> Peer:
    certificate = peer.getpeercert(binary_form=True)
    subject = peer.getpeercert()
    assert certificate is not None, "it is required"
    return replace(client, name=_common_name(subject or {}), certificate=certificate)


def _common_name(subject: Mapping[str, object]) -> str:
    parts = subject.get("subject", ())
    assert isinstance(parts, tuple)
    return next((str(value) for part in parts for key, value in part if key == "commonName"), "")


def end_tls(peer: socket.socket) -> None:
    """Say that no more will be sent, as TLS says it; what the other side still sends can be read."""
    if isinstance(peer, ssl.SSLSocket):
        with suppress(
            OSError, ValueError
        ):  # it waits for the other to say so, too, which we do not; or it has never begun
            peer.unwrap()
