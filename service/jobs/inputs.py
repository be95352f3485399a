"""What a job's config names of others: data sets that were uploaded, and what other jobs made."""

import json
import re
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from service.auth.actor import Actor, Owned, may_see
from service.errors import ApiError
from service.jobs.schemas import JobFields
from service.store import queries
from service.store.models import Job, User, Visibility
from service.store.settings import Settings

JOB_ID = re.compile(r"job_[0-9a-hjkmnp-tv-z]{26}")


def uses(config: Any, folder: Path) -> bool:
    """Whether a job's config names a folder or something in it, wherever."""
    if isinstance(config, dict):
        return any(uses(value, folder) for value in config.values())
    if isinstance(config, list):
        return any(uses(value, folder) for value in config)
    return isinstance(config, str) and (config == str(folder) or config.startswith(f"{folder}/"))


def sources(session: Session, settings: Settings, config: dict[str, Any]) -> list[Owned]:
    """The uploaded data sets, and the jobs whose results, a config names."""
    uploads = queries.datasets_by_name(session).values()
    named = [row for row in uploads if uses(config, settings.uploads_folder / row.name)]
    jobs = queries.jobs_by_id(session, JOB_ID.findall(json.dumps(config)))
    return [*named, *jobs.values()]


def check_still_open(session: Session, settings: Settings, job: Job) -> None:
    """Raise 409 unless a job's owner may use what its config names.

    They might when it was submitted; since then another's data set may have taken the place of one
    that was deleted, or what another job made may have become private.
    """
    owner = session.get_one(User, job.user_id)
    actor = Actor(owner.id, owner.name, owner.role)
    if not all(may_see(actor, each) for each in sources(session, settings, job.config)):
        detail = f"{job.id} reads what its owner may not use any more: submit a new job"
        raise ApiError(409, "inputs_closed", detail)


def visibility_of(
    session: Session, settings: Settings, config: dict[str, Any], about: JobFields
) -> Visibility:
    """Who may see a new job: whom its user says, else all, unless what it reads is private.

    Its report shows pictures of the data set, its features list their names.
    """
    if "visibility" in about.model_fields_set:
        return about.visibility
    private = any(each.visibility == "private" for each in sources(session, settings, config))
    return "private" if private else "lab"
