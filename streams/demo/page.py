"""The shop's page beside the demo: settings in; the read API on an address, until it is closed, out."""

from __future__ import annotations

import os
import subprocess
import sys
from http.client import HTTPConnection, HTTPException, HTTPResponse

from prometheus_client.parser import text_string_to_metric_families

from deploy.local.ports import choose_ports
from streams.demo.home import DemoError
from streams.demo.interrupts import Interrupts
from streams.run_files import running_api
from streams.settings import Settings
from streams.supervisor import worker_environment

PORT = 8800
READY_S = 120.0
STOP_S = 10.0
TIMEOUT_S = 5.0
POSTS = "lastclick_api_requests_total"


class ShopPage:
    """`lastclick serve` for this demo alone; visitors act at the simulated shop's time.

    Parameters
    ----------
    settings
        Of the demo's workers.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._port = choose_ports({"api": PORT})["api"]
        command = [sys.executable, "-m", "streams.cli", "serve", "--port", str(self._port)]
        environment = os.environ | worker_environment(settings) | {"LASTCLICK_API_EVENT_TIME": "stream"}
        settings.logs.mkdir(parents=True, exist_ok=True)
        with (settings.logs / "serve.out").open("wb") as output:
            # In a session of its own, so that Ctrl-C reaches the demo alone, which then ends all of it.
            self._process = subprocess.Popen(
                command, env=environment, stdout=output, stderr=output, start_new_session=True
            )

    @property
    def address(self) -> str:
        """Where a browser finds the shop."""
        return f"http://127.0.0.1:{self._port}/shop"

    def wait_ready(self, interrupts: Interrupts) -> None:
        """Return when lists can be read.

        Raises
        ------
        DemoError
            When the API has ended, or is not ready in time.
        """
        waited_s = 0.0
        while running_api(self._settings.run) is None or not self.answers():
            if self._process.poll() is not None or waited_s > READY_S:
                words = (self._settings.logs / "serve.out").read_text(errors="replace").strip()[-500:]
                raise DemoError(f"the read API did not come up; its last words: {words or 'none'}")
            interrupts.wait(0.1)
            waited_s += 0.1

    def answers(self) -> bool:
        """Whether the API and all that it reads are there."""
        return self._ask("/ready")[0] == 200

    def posted(self) -> int:
        """Requests by which visitors have sent events."""
        _, text = self._ask("/metrics")
        return sum(
            int(sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == POSTS and sample.labels["method"] == "POST" and sample.labels["status"] == "202"
        )

    def close(self) -> None:
        """End the API."""
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(self, path: str) -> tuple[int, str]:
        """Status and body of an answer; 0 when there is none, since the API may be starting."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_S)
        try:
            connection.request("GET", path)
            response: HTTPResponse = connection.getresponse()
            return response.status, response.read().decode()
        except (HTTPException, OSError):
            return 0, ""
        finally:
            connection.close()
