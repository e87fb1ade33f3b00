"""Host of requests for metrics, which a WSGI server of prometheus_client answers."""

from collections.abc import Iterable
from wsgiref.simple_server import WSGIServer
from wsgiref.types import StartResponse, WSGIEnvironment

from platform_lib.serving.http.host_check import HostCheck


def check_hosts_of(server: WSGIServer, check: HostCheck) -> None:
    """Put the check of Host before the application of a running server, such as that of the metrics."""
    app = server.get_app()
    assert app is not None, "the server has an application"

    def respond(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        host = environ.get("HTTP_HOST")
        headers = {} if host is None else {b"host": host.encode("latin-1")}
        if (refusal := check.refusal("GET", headers)) is not None:
            start_response("421 Misdirected Request", [("Content-Type", "text/plain; charset=utf-8")])
            return [refusal.detail.encode()]
        return app(environ, start_response)

    server.set_app(respond)
