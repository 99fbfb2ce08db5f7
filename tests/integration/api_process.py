"""The read API as users start it: settings in; a process that surely ends, and a client of it, out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from streams.run_files import running_api
from streams.settings import Settings
from tests.waiting import wait_until

START_TIMEOUT_S = 240.0
"""A cold start on two shared cores, beside workers."""

FIELDS = ("home", "keyspace", "group", "list_size", "propensity_threshold", "propensity_rearm", "device")
"""Settings that the tests change, beside the addresses."""


class ApiProcess:
    """`lastclick serve` on a free port; ``rules`` are settings of the API alone, by the variable's last words."""

    def __init__(self, settings: Settings, log: Path, cassandra: str | None = None, **rules: object) -> None:
        environment = {f"LASTCLICK_{name.upper()}": str(getattr(settings, name)) for name in FIELDS}
        environment |= {"LASTCLICK_KAFKA": settings.kafka, "LASTCLICK_CASSANDRA": cassandra or settings.cassandra}
        environment |= {f"LASTCLICK_API_{name.upper()}": str(value) for name, value in rules.items()}
        self._settings, self._log = settings, log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "streams.cli", "serve", "--port", "0"],
                env=os.environ | environment,
                stdout=output,
                stderr=output,
            )
        self.client: httpx.Client

    def start(self) -> None:
        """Return when everything that it needs is there."""
        run = wait_until(self._running, START_TIMEOUT_S, "an API that listens")
        self.client = httpx.Client(base_url=f"http://{run.address}", timeout=60)
        wait_until(self._ready, START_TIMEOUT_S, "an API that is ready")

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Answer to a GET."""
        return self.client.get(path, headers=headers)

    def home(self, user_id: str, query: str = "") -> dict[str, Any]:
        """A page of the user's list."""
        answer = self.get(f"/v1/users/{user_id}/lists/home{query}")
        assert answer.status_code == 200, answer.text
        page: dict[str, Any] = answer.json()
        return page

    def post(self, topic: str, event: dict[str, Any]) -> httpx.Response:
        """Answer to a posted event."""
        return self.client.post("/v1/events", json={"topic": topic, "event": event})

    @contextmanager
    def changes(self, user_id: str) -> Iterator[list[dict[str, Any]]]:
        """Notices of the user that arrive meanwhile, in a list that grows."""
        seen: list[dict[str, Any]] = []
        listening = threading.Event()
        with self.client.stream("GET", f"/v1/users/{user_id}/changes") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")

            def listen() -> None:
                try:
                    for line in stream.iter_lines():
                        listening.set()
                        if line.startswith("data: "):
                            seen.append(json.loads(line.removeprefix("data: ")))
                except (httpx.HTTPError, httpx.StreamError):
                    return  # the test is over, and closes the stream under it

            thread = threading.Thread(target=listen, daemon=True)
            thread.start()
            assert listening.wait(60), "a stream that says nothing"
            yield seen

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(30)
        if hasattr(self, "client"):
            self.client.close()

    def _running(self) -> Any:
        assert self._process.poll() is None, self._log.read_text()
        run = running_api(self._settings.run)
        return run if run is not None and run.pid == self._process.pid else None

    def _ready(self) -> bool:
        try:
            return self.get("/ready").status_code == 200
        except httpx.TransportError:
            return False
