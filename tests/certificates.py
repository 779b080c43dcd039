"""An authority, and certificates that it has signed, as PEM files."""

from __future__ import annotations

import ssl
from pathlib import Path

import attrs
import trustme

from daemon.http.tls import TlsFiles

HOST = "127.0.0.1"


@attrs.frozen
class Certificates:
    authority: Path
    server: TlsFiles
    client: TlsFiles
    stranger: TlsFiles
    """Signed by nobody whom the server knows."""

    def of_client(self, files: TlsFiles | None) -> ssl.SSLContext:
        """What a client speaks TLS with; without a certificate of its own if there are none."""
        context = ssl.create_default_context(cafile=self.authority)
        if files is not None:
            context.load_cert_chain(files.certificate, files.key)
        return context


def certificates(directory: Path) -> Certificates:
    ours, other = trustme.CA(), trustme.CA()
    authority = directory / "ca.pem"
    ours.cert_pem.write_to_path(authority)

    def issued(authority_of: trustme.CA, name: str, *hosts: str) -> TlsFiles:
        issue = authority_of.issue_cert(*hosts, common_name=name)
        certificate, key = directory / f"{name}.pem", directory / f"{name}-key.pem"
        for number, part in enumerate(issue.cert_chain_pems):
            part.write_to_path(certificate, append=number > 0)
        issue.private_key_pem.write_to_path(key)
        key.chmod(0o600)
        return TlsFiles(certificate=certificate, key=key, authority=authority)

    return Certificates(
        authority=authority,
        server=issued(ours, "server", HOST),
        client=issued(ours, "alice", "alice.example"),
        stranger=issued(other, "mallory", "mallory.example"),
    )
