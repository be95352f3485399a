"""What is known of the request that is being served, wherever in its service it is asked for."""

from contextvars import ContextVar
from dataclasses import dataclass

from service.store.tracing import traceparent


@dataclass
class RequestContext:
    """One HTTP request: its id, and the code of the problem that it was answered with, if any."""

    id: str
    problem: str | None = None


_current: ContextVar[RequestContext | None] = ContextVar("request", default=None)


def begin(request_id: str) -> RequestContext:
    """Start a request: from now on this task, and the threads that work for it, serve it."""
    context = RequestContext(request_id)
    _current.set(context)
    return context


def current() -> RequestContext | None:
    """The request that is being served; None outside of any."""
    return _current.get()


def source() -> dict[str, str] | None:
    """Where what is made now comes from, for whoever works on it: the id of the request, and the
    `traceparent` of the span in which it is made, if there is a trace. None outside of requests.
    """
    request, trace = current(), traceparent()
    if request is None:
        return None
    return {"request_id": request.id, **({"traceparent": trace} if trace else {})}
