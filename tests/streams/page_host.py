"""A host of the pages for tests without servers: answers by path in; a real origin, whose streams stay open, out."""

from __future__ import annotations

import json
import mimetypes
import queue
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import streams.pages
from streams.api.site import SECURITY

FILES = Path(streams.pages.__file__).parent
PAGES = {"/": "shop.html", "/operate": "operate.html"}
ENDED = None

Answer = tuple[int, dict[str, Any]]


class PageHost:
    """Serves the pages' files and what `answers` has; streams of server-sent events stay open until `end_streams`.

    Attributes
    ----------
    answers
        By path, without the query: the document, with 200, or status and document, or what gives either.
    asked
        How often each path was asked for.
    posted
        Events that were posted, as the tracker sends them.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: Counter[str] = Counter()
        self.posted: list[dict[str, Any]] = []
        self._streams: list[tuple[str, queue.Queue[bytes | None]]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="host of the pages", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def streams(self, path: str) -> int:
        """How many clients read the stream of this path now."""
        return sum(each == path for each, _ in self._streams)

    def tell(self, path: str, event: str, data: dict[str, Any]) -> None:
        """Send an event to all that read the stream of this path."""
        for each, waiting in list(self._streams):
            if each == path:
                waiting.put(f"event: {event}\ndata: {json.dumps(data)}\n\n".encode())

    def end_streams(self) -> None:
        for _, waiting in list(self._streams):
            waiting.put(ENDED)

    def close(self) -> None:
        self.end_streams()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def _answer(self, path: str) -> Answer:
        found: Any = self.answers.get(path, (404, {"title": "Not found", "detail": "this host does not have it"}))
        if callable(found):
            found = found()
        return found if isinstance(found, tuple) else (200, found)

    def _handler(host) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path = unquote(urlsplit(self.path).path)
                host.asked[path] += 1
                if path.endswith("/changes"):
                    self._stream(path)
                elif path in PAGES or path.startswith("/static/"):
                    file = FILES / PAGES.get(path, path.removeprefix("/static/"))
                    self._send(200, mimetypes.guess_type(file.name)[0] or "text/plain", file.read_bytes())
                else:
                    self._send_json(*host._answer(path))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, document = host.answers.get("/v1/events:batch", (202, {"accepted": len(body["events"])}))
                if status == 202:
                    host.posted += body["events"]
                self._send_json(status, document)

            def log_message(self, *words: Any) -> None:
                """Say nothing: tests look at what was asked for."""

            def _send_json(self, status: int, document: dict[str, Any]) -> None:
                self._send(status, "application/json", json.dumps(document).encode())

            def _send(self, status: int, content_type: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                for name, value in SECURITY.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def _stream(self, path: str) -> None:
                self.close_connection = True
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                reader = path, queue.Queue[bytes | None]()
                host._streams.append(reader)
                try:
                    self.wfile.write(b": here\n\n")
                    while True:
                        try:
                            told = reader[1].get(timeout=0.1)
                        except queue.Empty:
                            told = b": here\n\n"  # a reader that is gone is found out by writing
                        if told is ENDED:
                            return
                        self.wfile.write(told)
                except OSError:
                    self.log_message("the reader has gone")
                finally:
                    host._streams.remove(reader)

        return Handler
