"""What a training would need and when it would start, without starting it."""

from service.auth.actor import Actor
from service.deps import Resources
from service.jobs.needs import (
    check_priority,
    check_slots,
    device_of,
    estimate_training,
    known_workers,
    memory_needed,
    wanted_nodes,
    wanted_slots,
)
from service.store.dispatch import read_state
from service.store.forecast import forecast
from service.store.ids import new_id
from service.store.models import PRIORITIES
from service.store.places import Waiting, holders
from service.store.workers import for_jobs
from service.train.schemas import DryRun, Fit, TrainRequest
from service.train.service import configure


def dry_run(resources: Resources, actor: Actor, request: TrainRequest) -> DryRun:
    """Return what the request would come to.

    Raises:
        ApiError: as if it were meant.
    """
    check_priority(actor, request.priority)
    config = configure(resources, actor, request)
    announced = known_workers(resources)
    workers, device = for_jobs(announced), device_of(announced)
    check_slots(workers, resources.settings.user_running_slots, config, request.slots)
    with resources.database.read() as session:
        found = estimate_training(session, config, device)
        state = read_state(session, workers, resources.settings)
    job = Waiting(
        new_id("job"),
        actor.user_id,
        PRIORITIES[request.priority],
        wanted_slots(config, request.slots),
        state.now,
        memory_needed(found, device),
        found.seconds,
        wanted_nodes(config),
    )
    starts = forecast(state._replace(waiting=[*state.waiting, job]))
    fits = [
        Fit(worker=one.name, slots=[slot.id for slot in one.slots if slot.total >= job.memory])
        for one in holders(job, workers)
    ]
    return DryRun(
        memory_bytes=job.memory,
        step_seconds=found.step_seconds,
        total_steps=found.total_steps,
        seconds=found.seconds,
        start_in_seconds=starts[job.id] - state.now if job.id in starts else None,
        basis=found.basis,
        device=device,
        fits=fits,
        config=config,
    )
