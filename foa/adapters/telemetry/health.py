"""What a node shows over HTTP: /metrics, /healthz (the process lives), /readyz (it is connected), /startup."""

import json
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from foa.errors import ConfigError


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name the base class gives it
        """Say nothing: a scrape is no event."""


class HealthServer:
    """A small server in a thread of its own."""

    def __init__(self, registry: CollectorRegistry, ready: Callable[[], bool]) -> None:
        """Show `registry`; `ready` says whether the node is connected."""
        self._metrics = make_wsgi_app(registry)
        self._ready = ready
        self._server: WSGIServer | None = None

    def start(self, host: str, port: int) -> int:
        """Listen, and return the port; ConfigError if it is taken."""
        try:
            self._server = make_server(host, port, self._answer, _Server, _Quiet)
        except OSError as error:
            raise ConfigError(f"http.port = {port}: {error.strerror}; choose another, or 0 for none") from error
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True).start()
        return int(self._server.server_port)

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            return list(self._metrics(environ, start_response))
        known = {"/healthz": True, "/readyz": self._ready(), "/startup": True}
        if path not in known:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"see /metrics, /healthz, /readyz, /startup\n"]
        start_response("200 OK" if known[path] else "503 Service Unavailable", [("Content-Type", "application/json")])
        return [json.dumps({"ok": known[path]}).encode()]
