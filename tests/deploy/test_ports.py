from __future__ import annotations

import socket

from deploy.local.ports import HOST, choose_ports, is_free


def test_usual_ports_are_taken_when_free() -> None:
    usual = choose_ports({"clients": 0, "controller": 0})
    assert choose_ports(usual) == usual


def test_a_taken_port_gives_way_to_a_free_one() -> None:
    with socket.create_server((HOST, 0)) as listener:
        taken = listener.getsockname()[1]
        assert not is_free(taken)
        chosen = choose_ports({"clients": taken})
        assert chosen["clients"] != taken
        assert is_free(chosen["clients"])


def test_a_port_taken_on_every_address_is_taken() -> None:
    with socket.create_server(("0.0.0.0", 0)) as listener:
        assert not is_free(listener.getsockname()[1])


def test_a_port_that_only_lingers_is_free() -> None:
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
        client = socket.create_connection((HOST, port))
        accepted, _ = listener.accept()
        accepted.close()  # The side that closes first keeps its port in TIME_WAIT.
        client.close()
    assert is_free(port)


def test_two_purposes_never_share_a_port() -> None:
    port = choose_ports({"clients": 0})["clients"]
    chosen = choose_ports({"clients": port, "storage": port})
    assert chosen["clients"] != chosen["storage"]
