"""Which scheduler may be used, and with which certificates?

Whoever can reach a scheduler without TLS can run any code on its workers, so plain TCP is
for the loopback, or for those who ask for it.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from urllib.parse import urlsplit

from attrs import frozen

from lexer_core.errors import UsageError

__all__ = ["SchedulerAddress", "TlsFiles", "check_address"]

_PORT = 8786
_WITHOUT_TLS = "tcp"
_WITH_TLS = "tls"


@frozen(kw_only=True)
class TlsFiles:
    """The files of mutual TLS: certificates to trust, and the one of this computer.

    Parameters
    ----------
    ca_file
        Certificates of those who may sign, in PEM.
    cert, key
        The certificate of this computer, and its private key, in PEM.
    """

    ca_file: Path
    cert: Path
    key: Path


@frozen(kw_only=True)
class SchedulerAddress:
    """A checked address; ``tls`` is ``None`` for plain TCP."""

    url: str
    tls: TlsFiles | None = None


def check_address(
    address: str,
    *,
    tls_ca_file: str | Path | None = None,
    tls_cert: str | Path | None = None,
    tls_key: str | Path | None = None,
    insecure: bool = False,
) -> SchedulerAddress:
    """Check the address of a scheduler and the certificates.

    Raises
    ------
    UsageError
        It is not an address, a certificate is missing, or plain TCP would leave this
        machine.
    """
    example = f"tls://HEAD:{_PORT}"
    scheme, sign, rest = address.partition("://")
    host = _host(address) if sign else ""
    if not sign or not host:
        raise UsageError(
            f"{address!r} is not the address of a scheduler.",
            hint=f"--scheduler {example}, or --scheduler this-machine without a network.",
        )
    files = {"--tls-ca-file": tls_ca_file, "--tls-cert": tls_cert, "--tls-key": tls_key}
    if scheme == _WITH_TLS:
        missing = [option for option, file in files.items() if file is None]
        if missing:
            raise UsageError(
                f"{address} needs {', '.join(missing)}.",
                hint="Both sides of a connection must prove who they are; see docs/fleet.md for "
                "how to make the certificates.",
            )
        paths = {option: Path(file) for option, file in files.items() if file is not None}
        for option, path in paths.items():
            if not path.is_file():
                raise UsageError(f"{option} {str(path)!r} does not exist.")
        ca_file, cert, key = paths.values()
        return SchedulerAddress(url=address, tls=TlsFiles(ca_file=ca_file, cert=cert, key=key))
    if scheme != _WITHOUT_TLS:
        raise UsageError(
            f"{address!r}: the protocol {scheme!r} is not supported.", hint=f"Use {example}."
        )
    given = [option for option, file in files.items() if file is not None]
    if given:
        raise UsageError(
            f"{address} is plain TCP, and {given[0]} is given.", hint=f"Write tls://{rest}."
        )
    if not (insecure or _is_loopback(host)):
        raise UsageError(
            f"{address} is plain TCP: whoever can reach it can run any code on the machines.",
            hint=f"Use TLS ({example}), or --insecure if nobody else is on this network.",
        )
    return SchedulerAddress(url=address)


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:  # brackets without an IPv6 address
        return ""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return False
