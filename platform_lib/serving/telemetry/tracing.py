"""Trace requests with OpenTelemetry if its standard environment variables ask for it: one span per request.

Without those variables nothing of OpenTelemetry is imported. Its sampler decides which spans are kept.
"""

import logging
import os
import threading
from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from platform_lib.errors import UsageError
from platform_lib.serving.telemetry.logs import trace_fields
from platform_lib.serving.transport.direct_response import without_direct_response

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

log = logging.getLogger("platform_lib.serving")

_PROBES = ("/healthz", "/readyz", "/ping", "/v2/health/")
"""Health checks call these every few seconds; they are not traced."""
_LAST_EXPORT_S = 5.0
"""How long a server that stops waits for a collector that does not respond."""

_span: ContextVar[Any] = ContextVar("span", default=None)


def wants_tracing(environ: Mapping[str, str] | None = None) -> bool:
    """Return whether the environment turns tracing on.

    It does with `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` or `OTEL_TRACES_EXPORTER=otlp`.

    Raises:
        UsageError: The exporter or protocol is not supported, or the extra `tracing` is not installed.
    """
    env = os.environ if environ is None else environ
    exporter = env.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    named = any(env.get(name) for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))
    if env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or exporter == "none" or not (exporter or named):
        return False
    if exporter not in ("", "otlp"):
        raise UsageError(f"OTEL_TRACES_EXPORTER is {exporter!r}, expected otlp or none.")
    protocol = (
        env.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or env.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "http/protobuf"
    )
    if protocol != "http/protobuf":
        raise UsageError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}, expected http/protobuf, which collectors accept on port "
            "4318. Set OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf and OTEL_EXPORTER_OTLP_TRACES_ENDPOINT."
        )
    try:
        import opentelemetry.exporter.otlp.proto.http
        import opentelemetry.sdk.trace  # noqa: F401
    except ImportError as err:
        raise UsageError(
            f"the environment turns tracing on, but the module {err.name} is not installed: "
            "install platform-lib[tracing], or set OTEL_SDK_DISABLED=true."
        ) from err
    return True


def open_tracing(service: str) -> "Tracing | NoTracing":
    """Return what traces requests, as far as the environment asks for it.

    Variables that ask for something else, which an operator may set in every pod, are reported in the log. A server
    that predicts without traces is better than none.

    Args:
        service: Default for the name of this service.
    """
    try:
        return Tracing(service) if wants_tracing() else NoTracing()
    except UsageError as err:
        log.warning("the server runs without traces: %s", err)
        return NoTracing()


class NoTracing:
    """Traces nothing."""

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """Return the application itself."""
        return app

    def close(self) -> None:
        """Do nothing."""


class Tracing:
    """Creates the spans of one process and exports them in the background."""

    def __init__(self, service: str) -> None:
        """Create the tracer.

        Args:
            service: Name of this service, unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` gives one.
        Raises:
            UsageError: OpenTelemetry refuses the value of a variable.
        """
        try:
            self._provider = _open_provider(service)
        except ValueError as err:
            raise UsageError(f"OpenTelemetry refuses an environment variable: {err}") from err
        # Not the process's global provider, because FastAPI would then trace each request a second time.
        self._tracer = self._provider.get_tracer("platform_lib.serving")

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """Return the application with a span around each request, outermost, so that it sees what callers see."""

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or scope["path"].startswith(_PROBES):
                await app(scope, receive, send)
            else:
                await self._trace(app, scope, receive, send)

        return traced

    def close(self) -> None:
        """Export the remaining spans. If the collector is down, they are lost after some seconds."""
        sender = threading.Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        sender.start()
        sender.join(_LAST_EXPORT_S)

    async def _trace(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        from opentelemetry import propagate
        from opentelemetry.trace import SpanKind, StatusCode

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        attributes = {"http.request.method": scope["method"], "url.path": scope["path"], "url.scheme": scope["scheme"]}
        span = self._tracer.start_span(
            scope["method"], context=propagate.extract(headers), kind=SpanKind.SERVER, attributes=attributes
        )
        context = span.get_span_context()
        status = 500

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        inner = without_direct_response(scope)
        span_token = _span.set(span)
        fields_token = trace_fields.set(
            {"trace_id": format(context.trace_id, "032x"), "span_id": format(context.span_id, "016x")}
        )
        try:
            await app(inner, receive, send_and_note)
        finally:
            trace_fields.reset(fields_token)
            _span.reset(span_token)
            # Fixed prediction paths bypass the router, so the path itself is the route.
            if route := getattr(inner.get("route"), "path", None) or (
                "mlp.protocol" in _attributes(span) and scope["path"]
            ):
                span.update_name(f"{scope['method']} {route}")
                span.set_attribute("http.route", route)
            if request_id := inner.get("request_id"):
                span.set_attribute("mlp.request_id", request_id)
            span.set_attribute("http.response.status_code", status)
            if status >= 500:
                span.set_attribute("error.type", str(status))
                span.set_status(StatusCode.ERROR)
            span.end()


def describe_request(**attributes: str | int) -> None:
    """Set attributes of the request's span, such as `protocol` and `rows`. Without tracing, do nothing."""
    span = _span.get()
    if span is not None:
        span.set_attributes({f"mlp.{name}": value for name, value in attributes.items() if value != ""})


def _attributes(span: Any) -> Mapping[str, Any]:
    """Return the attributes; a span that is not recorded has none."""
    return getattr(span, "attributes", None) or {}


def _open_provider(service: str) -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    is_named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    resource = Resource.create({} if is_named else {"service.name": service})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
