"""OpenTelemetry traces, only where a collector is configured: a span per call and per stage, nothing of a patient.

Needs the extra ``telemetry``. Spans are made after the answer, from the times that the call has kept: the code that
decides knows nothing of them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

SCOPE = "naltrexone-cds"


class TracesUnavailableError(Exception):
    """Traces are configured, and the extra that they need is not installed."""


class Traces:
    """Hands spans to OpenTelemetry. ``exporter`` None means OTLP over HTTP to ``endpoint``."""

    def __init__(self, endpoint: str, version: str, exporter: Any = None) -> None:
        try:
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an optional extra
            from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
            from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
            from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
                TraceContextTextMapPropagator,
            )
        except ImportError:
            raise TracesUnavailableError(
                "traces_endpoint: needs the extra naltrexone-cds[telemetry]"
            ) from None
        named = {"service.name": SCOPE, "service.version": version}
        self._provider = TracerProvider(resource=Resource.create(named))
        self._provider.add_span_processor(BatchSpanProcessor(exporter or _otlp(endpoint)))
        self._tracer = self._provider.get_tracer(SCOPE, version)
        self._propagator = TraceContextTextMapPropagator()

    def record(
        self,
        name: str,
        seconds: float,
        stages: Mapping[str, float],
        facts: Mapping[str, str | int],
        parent: str = "",
    ) -> None:
        """A call that has just ended: a span of this length and one inside it for each stage, in their order."""
        from opentelemetry.trace import set_span_in_context  # noqa: PLC0415

        end = time.time_ns()
        begun = end - int(seconds * 1e9)
        context = self._propagator.extract({"traceparent": parent}) if parent else None
        span = self._tracer.start_span(
            name, context=context, start_time=begun, attributes=dict(facts)
        )
        inside, at = set_span_in_context(span), end - int(sum(stages.values()) * 1e9)
        for stage, length in stages.items():
            child = self._tracer.start_span(stage, context=inside, start_time=at)
            at += int(length * 1e9)
            child.end(at)
        span.end(end)

    def flush(self) -> None:
        self._provider.force_flush()


def _otlp(endpoint: str) -> Any:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

    return OTLPSpanExporter(endpoint=endpoint, timeout=2)
