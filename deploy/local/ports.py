"""Ports on the loopback address: wanted ones come in, free ones go out."""

from __future__ import annotations

import socket
from collections.abc import Mapping

HOST = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now (one that only lingers in TIME_WAIT counts as free)."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            # Two sockets with SO_REUSEADDR may both be bound; only listening tells them apart.
            probe.listen(1)
        except OSError:
            return False
    return True


def choose_ports(usual: Mapping[str, int]) -> dict[str, int]:
    """Take each usual port when it is free, a free one of the system's choice when not.

    Parameters
    ----------
    usual : mapping of str to int
        Purpose to usual port; 0 asks for any free one.
    """
    chosen: dict[str, int] = {}
    for purpose, port in usual.items():
        free = port != 0 and port not in chosen.values() and is_free(port)
        chosen[purpose] = port if free else _any_free_port(set(chosen.values()) | set(usual.values()))
    return chosen


def _any_free_port(avoided: set[int]) -> int:
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((HOST, 0))
            port = int(probe.getsockname()[1])
        if port not in avoided:
            return port
