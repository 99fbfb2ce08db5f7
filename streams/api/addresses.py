"""A host's name or address in; whether it is this machine, out."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether it is an address that only programs on this machine can reach."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
