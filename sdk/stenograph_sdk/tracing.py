"""OpenTelemetry, where the application has it: triggers carry the trace that they are sent in, handlers continue it.

    the span in which session.trigger(…) is called
    └── tool get-user-account          while the handler runs, wherever the worker is

Only the API of OpenTelemetry is used, the extra `[otel]`; what is exported, and where to, is the application's choice.
Without the package nothing happens here. A span holds ids and the outcome, never arguments, results or texts.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

from stenograph_events.tracing import TRACEPARENT, checked_traceparent
from stenograph_events.types import ToolRequested


class _Api(NamedTuple):
    """What we use of OpenTelemetry."""

    trace: Any
    propagator: Any


def current_traceparent() -> str | None:
    """Return the context of the current span, None if there is none."""
    api = _api()
    if api is None:
        return None
    carrier: dict[str, str] = {}
    api.propagator.inject(carrier)
    return checked_traceparent(carrier.get(TRACEPARENT))


def trace_headers(traceparent: str | None = None) -> dict[str, str]:
    """Return the header that hands on `traceparent`, by default the current span's; empty if there is none."""
    written = checked_traceparent(traceparent) or current_traceparent()
    return {TRACEPARENT: written} if written else {}


@contextmanager
def span_of(request: ToolRequested, worker: str) -> Iterator[Callable[[str], None]]:
    """Run a handler in a span, whose parent is the trace of `request`; yield what takes the outcome."""
    api = _api()
    if api is None:
        yield lambda outcome: None
        return
    parent = checked_traceparent(request.traceparent)
    within = api.propagator.extract({TRACEPARENT: parent}) if parent else None
    tracer = api.trace.get_tracer("stenograph_sdk")
    with tracer.start_as_current_span(f"tool {request.tool}", within, attributes=_ids(request, worker)) as span:

        def ended(outcome: str) -> None:
            span.set_attribute("stenograph.outcome", outcome)
            if outcome != "succeeded":
                span.set_status(api.trace.StatusCode.ERROR, outcome)

        yield ended


def _ids(request: ToolRequested, worker: str) -> dict[str, str | int]:
    return {
        "stenograph.tenant": request.tenant,
        "stenograph.session": request.session,
        "stenograph.turn": request.turn or "",
        "stenograph.call": request.call,
        "stenograph.attempt": request.attempt,
        "stenograph.tool": request.tool,
        "stenograph.worker": worker,
    }


@cache
def _api() -> _Api | None:
    try:
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
    except ImportError:
        return None
    return _Api(trace, TraceContextTextMapPropagator())
