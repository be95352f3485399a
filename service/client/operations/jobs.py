"""Operations on jobs."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from service.client.call import Call, Flow, get, given, id_of, read
from service.client.errors import JobCancelled, JobFailed, PakaError
from service.client.following import Patience
from service.client.operations.training import Priority, Visibility
from service.client.pages import Page, Pages
from service.client.schemas import Checkpoint, FeatureIndex, Job, Report

if TYPE_CHECKING:
    import pandas as pd

POLL_SECONDS = 2.0
LOG_SECONDS = 1.0
"""Between two looks at a job, and at its log."""


def job(job: Job | str) -> Flow[Job]:
    """One job as it is now.

    Raises:
        NotFound: there is none of this id, or you may not see it.
    """
    return read(Job, (yield get(f"/jobs/{id_of(job)}")))


def jobs(
    *,
    kind: Literal["train", "embed", "evaluate"] | None = None,
    status: Literal["queued", "running", "succeeded", "failed", "cancelled"] | None = None,
    user: str | None = None,
    search: str | None = None,
    limit: int | None = None,
) -> Pages[Job]:
    """Jobs, newest first, fetched page by page as they are asked for.

    Args:
        search: only those in whose id, name, kind, data set, encoders or user's name each of
            these words is found.
        limit: this many at most; None: all.
    """
    chosen = {"kind": kind, "status": status, "user": user, "search": search}
    return Pages("/jobs", chosen, Page[Job], limit)


def cancel(job: Job | str) -> Flow[Job]:
    """Stop a job; a running one writes a checkpoint first, and can be resumed.

    Raises:
        Conflict: it has ended already.
    """
    return read(Job, (yield Call("POST", f"/jobs/{id_of(job)}/cancel")))


def resume(job: Job | str) -> Flow[Job]:
    """Queue a failed or cancelled job again; it goes on from its last checkpoint.

    Raises:
        Conflict: it neither failed nor was cancelled.
    """
    return read(Job, (yield Call("POST", f"/jobs/{id_of(job)}/resume")))


def delete(job: Job | str) -> Flow[None]:
    """Remove a job that has ended, with all that it made.

    Raises:
        Conflict: it waits or runs.
    """
    yield Call("DELETE", f"/jobs/{id_of(job)}")


def update(
    job: Job | str,
    *,
    name: str | None = None,
    visibility: Visibility | None = None,
    priority: Priority | None = None,
    pinned: bool | None = None,
) -> Flow[Job]:
    """Change what is said of a job; what is None stays."""
    body = given(name=name, visibility=visibility, priority=priority, pinned=pinned)
    call = Call("PATCH", f"/jobs/{id_of(job)}", json=body, repeatable=True)
    return read(Job, (yield call))


def checkpoints(job: Job | str) -> Flow[list[Checkpoint]]:
    """The checkpoints that are kept, oldest first."""
    return read(Page[Checkpoint], (yield get(f"/jobs/{id_of(job)}/checkpoints"))).data


def metrics(job: Job | str) -> Flow["pd.DataFrame"]:
    """All metrics of a job: a row for each logged step, which is the index.

    Raises:
        MissingPackage: pandas is not installed.
    """
    rows = yield from metric_rows(job)
    from service.client.frames import metrics_frame

    return metrics_frame(rows)


def metric_rows(job: Job | str) -> Flow[list[dict[str, Any]]]:
    """All metrics of a job as they were logged."""
    rows: list[dict[str, Any]] = []
    after: int | None = -1
    while after is not None:
        params = {"limit": 1000, "after_step": after}
        page = read(Page[dict[str, Any]], (yield get(f"/jobs/{id_of(job)}/metrics", params=params)))
        rows += page.data
        after = page.next
    return rows


def log(job: Job | str, *, tail: int | None = None) -> Flow[str]:
    """What a job's process printed; only the last lines if `tail` says how many."""
    return (yield get(f"/jobs/{id_of(job)}/log", params={"tail": tail})).text


def log_after(job: Job | str, offset: int) -> Flow[tuple[str, int, bool]]:
    """The lines of a log from a byte on, where to go on, and whether no more will come.

    Over a while without an answer, they are asked for again.
    """
    patience, delay = Patience(), 0.0
    while True:
        try:
            return (yield from _log_after(job, offset, delay))
        except PakaError as error:
            patience.bear(error)
        delay = LOG_SECONDS


def _log_after(job: Job | str, offset: int, delay: float) -> Flow[tuple[str, int, bool]]:
    # The job first: one that has ended by then has printed its last line.
    has_ended = read(Job, (yield get(f"/jobs/{id_of(job)}", delay=delay))).has_ended
    content = (yield get(f"/jobs/{id_of(job)}/log", params={"offset": offset})).content
    if not has_ended:
        content = content[: content.rfind(b"\n") + 1]  # a line that is being written comes later
    return content.decode(errors="replace"), offset + len(content), has_ended


def report(job: Job | str) -> Flow[Report]:
    """What a job that evaluates found; `report(job).frame()` is a table of it.

    Raises:
        NotFound: there is none, or none yet (`report_not_ready`).
    """
    params = {"format": "json"}
    return read(Report, (yield get(f"/jobs/{id_of(job)}/report", params=params)))


def report_text(job: Job | str, form: Literal["markdown", "html", "json"]) -> Flow[str]:
    """The same as a Markdown table, or as a page with pictures."""
    return (yield get(f"/jobs/{id_of(job)}/report", params={"format": form})).text


def feature_index(job: Job | str) -> Flow[FeatureIndex]:
    """What is in which file of an `embed` job's features."""
    return read(FeatureIndex, (yield get(f"/jobs/{id_of(job)}/features")))


def feature_files(job: Job | str) -> Flow[list[tuple[str, Call]]]:
    """The names of those files and how to fetch each, the index last."""
    index = yield from feature_index(job)
    names = [*(shard.file for shard in index.shards), "index.json"]
    return [(name, get(f"/jobs/{id_of(job)}/features/{name}")) for name in names]


def until_ended(job: Job | str, show: Callable[[Job], object]) -> Flow[Job]:
    """Look at a job from time to time until it has ended, also over a while without an answer.

    Args:
        show: is given the job each time.
    """
    patience = Patience()
    while True:
        call = get(f"/jobs/{id_of(job)}", delay=POLL_SECONDS)
        try:
            found = read(Job, (yield call))
        except PakaError as error:
            patience.bear(error)
            continue
        patience.heard()
        show(found)
        if found.has_ended:
            return found


def succeeded(job: Job | str) -> Flow[Job]:
    """A job that has ended well.

    Raises:
        JobFailed, JobCancelled: it has not.
    """
    found = read(Job, (yield get(f"/jobs/{id_of(job)}")))
    if found.status == "failed":
        raise JobFailed(found)
    if found.status == "cancelled":
        raise JobCancelled(found)
    return found
