"""Trace requests with OpenTelemetry where its standard environment variables ask for it: a span a request, which continues the caller's trace.

Imports nothing of OpenTelemetry until then. Which spans are kept and where they go is the sampler's and the collector's.
"""

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

_PROBES = ("/healthz", "/readyz", "/ping", "/v2/health/")
"""Asked every few seconds by machines that trace nothing."""
_LAST_EXPORT_S = 5.0
"""How long a stopping server waits for a collector that does not answer."""

_span: ContextVar[Any] = ContextVar("span", default=None)


def wants_tracing(environ: Mapping[str, str] | None = None) -> bool:
    """Whether the environment names a collector for traces: `OTEL_EXPORTER_OTLP_ENDPOINT`, its `TRACES` form, or `OTEL_TRACES_EXPORTER=otlp`.

    Raises:
        UsageError: It asks for an exporter or a protocol that there is not, or the extra `tracing` is not installed.
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
            f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}, expected http/protobuf: collectors take it on port 4318."
        )
    try:
        import opentelemetry.exporter.otlp.proto.http
        import opentelemetry.sdk.trace  # noqa: F401
    except ImportError as err:
        raise UsageError(
            f"the environment asks for traces, but there is no module {err.name}: install platform-lib[tracing], or set OTEL_SDK_DISABLED=true."
        ) from err
    return True


class Tracing:
    """Makes the spans of one process and sends them in the background."""

    def __init__(self, service: str) -> None:
        """Begin.

        Args:
            service: Name of this service, unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` gives one.
        Raises:
            UsageError: A variable has a value that OpenTelemetry refuses.
        """
        try:
            self._provider = _open_provider(service)
        except ValueError as err:
            raise UsageError(f"OpenTelemetry refuses a variable of the environment: {err}") from err
        # Not made the process's global provider: FastAPI would then trace each request a second time.
        self._tracer = self._provider.get_tracer("platform_lib.serving")

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """The application with a span around each request; outermost, so that failures are seen as callers see them."""

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or scope["path"].startswith(_PROBES):
                await app(scope, receive, send)
            else:
                await self._trace(app, scope, receive, send)

        return traced

    def close(self) -> None:
        """Send what is left. A collector that is down is given some seconds, and the spans are lost."""
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
            # Predictions do not pass the router; their paths have no names in them.
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


def describe_request(**about: str | int) -> None:
    """Say on the request's span what was asked and who answered: `protocol`, `rows`, `model`, `version`. Nothing where nobody traces."""
    span = _span.get()
    if span is not None:
        span.set_attributes({f"mlp.{name}": value for name, value in about.items() if value != ""})


def _attributes(span: Any) -> Mapping[str, Any]:
    """None where the span is not kept."""
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
