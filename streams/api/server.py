"""`lastclick serve`: an address in; the API answering on it until it is told to stop."""

from __future__ import annotations

import gc
import logging
import logging.config
import os
import socket
import sys
import time
from collections.abc import Callable

import uvicorn

from streams.api.addresses import is_loopback
from streams.api.app import Api
from streams.api.logs import logging_config
from streams.api.rows import CassandraRows
from streams.api.settings import ApiSettings
from streams.api.shelf import Shelf
from streams.run_files import ApiRun, remove_api, write_api
from streams.settings import Settings

log = logging.getLogger(__name__)

STOP_LIMIT_S = 5
"""Seconds that a stop waits for requests under way; streams of changes never end by themselves."""

KEEP_ALIVE_S = 75
"""Seconds that a storefront's idle connection stays open; a client that reuses one as it closes gets an error."""

SWITCH_INTERVAL_S = 0.0005
"""How long a thread may keep the interpreter from others: the driver's and the shelf's beside the requests'."""

GARBAGE_THRESHOLD = 20_000
"""Objects made and not yet freed before a look for cycles; most requests leave none."""

BACKLOG = 2_048


class AddressRefused(RuntimeError):
    """The API cannot, or must not, listen there: says why and what to do."""


def serve(settings: Settings, api_settings: ApiSettings, host: str, port: int, say: Callable[[str], None]) -> None:
    """Answer requests on ``host`` and ``port`` (0 takes a free one) until SIGTERM or SIGINT.

    Raises
    ------
    AddressRefused
        When the port is taken, or the address can be reached from outside and no keys are set up.
    BundleError, DeviceError, ModelsDisagree
        When there is no recommender to serve.
    KeyFileError
        When the file of keys cannot be used.
    """
    if not api_settings.keys and not is_loopback(host):
        raise AddressRefused(
            f"host: saw {host!r}, which other machines may reach, and no API keys: make some with `lastclick api-key "
            "new --scope read`, and name their file in LASTCLICK_API_KEYS"
        )
    settings.logs.mkdir(parents=True, exist_ok=True)
    logging.config.dictConfig(logging_config(settings.logs / "api.log"))
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    with _listen(host, port) as listening:
        shelf = Shelf.open(settings)
        rows = CassandraRows(api_settings.read_deadline_ms / 1000)
        app = Api(settings, api_settings, shelf, rows).app()
        gc.freeze()
        gc.set_threshold(GARBAGE_THRESHOLD)
        address = f"{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"
        run = ApiRun(address, os.getpid(), time.time_ns() // 1_000_000)
        write_api(settings.run, run)
        try:
            said = f"answering on http://{address}"
            if not api_settings.keys:
                said += ", open to every program on this machine (no API keys)"
            log.info(said)
            say(f"{said}; Ctrl-C stops it. Log: {settings.logs / 'api.log'}")
            config = uvicorn.Config(
                app,
                loop="uvloop",
                http="httptools",
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                # It would look at each request for a proxy's headers, which nothing here reads.
                proxy_headers=False,
                timeout_graceful_shutdown=STOP_LIMIT_S,
                timeout_keep_alive=KEEP_ALIVE_S,
            )
            uvicorn.Server(config).run(sockets=[listening])
        finally:
            remove_api(settings.run, run)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError as error:
        raise AddressRefused(
            f"cannot listen on {host}:{port}: {error}; stop what uses it, or choose another with --port"
        ) from error
    listening.listen(BACKLOG)
    return listening
