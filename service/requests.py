"""Each HTTP request from its start to its end: its id, its line in the log, its numbers, its trace.

A client may name a request itself, by `X-Request-ID`; the answer names it in any case.
"""

import logging
import re
import time
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.metrics.registry import Metrics
from service.request_context import RequestContext, begin
from service.store import tracing
from service.store.ids import new_id
from service.store.logs import bind_log_context

ID_HEADER = "X-Request-ID"
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})
_POLLED = ("/health", "/ready", "/metrics")
NO_ROUTE = "none"
"""What metrics call the route of a request that led nowhere, or was refused at the door."""

log = logging.getLogger("service.access")


class Requests:
    """Watches over each request; it is the outermost middleware, so that nothing escapes it."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get(ID_HEADER, "")
        context = begin(given if _ID.fullmatch(given) else new_id("req"))
        bind_log_context(request_id=context.id)
        answer = _Answer(scope, send, self.metrics, context)
        about, parent = {"paka.request_id": context.id}, headers.get("traceparent")
        polled = scope["path"] in _POLLED
        traced = tracing.span("HTTP", about, kind="server", parent=parent)
        with nullcontext() if polled else traced as span:
            try:
                await self.app(scope, receive, answer.send)
            except Exception:
                context.problem = "internal"  # what the client gets is made outside of here
                answer.begin(500, streams=False)
                raise
            finally:
                answer.end()
                if span is not None:
                    answer.describe(span)


class _Answer:
    """What becomes of one request."""

    def __init__(self, scope: Scope, send: Send, metrics: Metrics, context: RequestContext) -> None:
        self._scope, self._send, self._metrics, self._context = scope, send, metrics, context
        self._started_at = time.perf_counter()
        self._status = 499  # as long as it has not begun, it is the client who went away
        self._begun = self._streams = False
        metrics.http_in_progress.inc()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers[ID_HEADER] = self._context.id
            kind = headers.get("content-type", "")
            self.begin(message["status"], streams=kind.startswith("text/event-stream"))
        await self._send(message)

    def begin(self, status: int, *, streams: bool) -> None:
        """Note how long it took until the answer began: its end is the client's own affair, and
        with events it may be hours later.
        """
        if self._begun:
            return
        self._begun, self._status, self._streams = True, status, streams
        seconds = time.perf_counter() - self._started_at
        labels = (self._method, self._route, f"{status // 100}xx")
        self._metrics.http_seconds.labels(*labels).observe(seconds)
        self._metrics.http_in_progress.dec()
        if streams:
            self._metrics.http_streams.inc()
        if (problem := self._context.problem) is not None:
            self._metrics.problems.labels(self._route, problem).inc()

    def end(self) -> None:
        """Note that it is over, and write the line."""
        if not self._begun:
            self.begin(self._status, streams=False)
        if self._streams:
            self._metrics.http_streams.dec()
        fields = {**self._fields, "seconds": round(time.perf_counter() - self._started_at, 6)}
        quiet = self._scope["path"] in _POLLED and self._status < 400
        log.log(logging.DEBUG if quiet else logging.INFO, "%s", _line(fields), extra=_extra(fields))

    def describe(self, span: Any) -> None:
        """Tell a trace what this was."""
        span.update_name(f"{self._method} {self._route}")
        span.set_attribute("http.request.method", self._method)
        span.set_attribute("http.route", self._route)
        span.set_attribute("http.response.status_code", self._status)
        if self._status >= 500:
            tracing.mark_failed(span)

    @property
    def _method(self) -> str:
        method: str = self._scope["method"]
        return method if method in _METHODS else "other"

    @property
    def _route(self) -> str:
        return getattr(self._scope.get("route"), "path", None) or NO_ROUTE

    @property
    def _fields(self) -> dict[str, Any]:
        actor = self._scope.get("state", {}).get("actor")
        return {
            "method": self._method,
            # As it came: what a client puts into it cannot end the line.
            "path": self._scope["raw_path"].decode("ascii", "backslashreplace"),
            "route": self._route,
            "status": self._status,
            "user": actor.name if actor else None,
            "problem": self._context.problem,
        }


def _line(fields: Mapping[str, Any]) -> str:
    line = f"{fields['method']} {fields['path']} {fields['status']} in {fields['seconds']:.3f} s"
    return f"{line} for {fields['user']}" if fields["user"] else line


def _extra(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"fields": {name: value for name, value in fields.items() if value is not None}}
