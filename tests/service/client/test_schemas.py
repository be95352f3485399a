"""The client's types against what the server says of itself."""

from types import NoneType, UnionType
from typing import get_args, get_origin

import pytest
from pydantic import BaseModel

from service.app import create_app
from service.client import schemas
from service.store.settings import Settings

SERVERS = {
    "Job": "JobView",
    "Event": "EventView",
    "Checkpoint": "CheckpointView",
    "CheckpointFile": "FileView",
    "Encoder": "EncoderView",
    "Dataset": "DatasetView",
    "Waiting": "WaitingView",
    "Shard": "ShardView",
    "Slot": "ClusterSlot",
    "Worker": "ClusterWorker",
    "Usage": "UserUsage",
    "Me": "MeView",
    "Measured": "Result",
    "Node": "NodeView",
}
WORDS = {"integer": int, "number": float, "boolean": bool, "array": list, "object": dict}


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    from service.jobs.schemas import EventView

    made = create_app(Settings(home=tmp_path_factory.mktemp("home"))).openapi()
    found = dict(made["components"]["schemas"])
    # A stream's answer is not described as a model.
    found["EventView"] = EventView.model_json_schema(mode="serialization")
    return found


def types_of(annotation):
    """The classes that a field may have."""
    if get_origin(annotation) is UnionType:
        return {kind for part in get_args(annotation) for kind in types_of(part)}
    return {get_origin(annotation) or annotation}


def types_said(field, document):
    """The same as a JSON schema says it."""
    if "anyOf" in field:
        return {kind for part in field["anyOf"] for kind in types_said(part, document)}
    if "$ref" in field:
        return types_said(document[field["$ref"].rpartition("/")[2]], document) | {BaseModel}
    if "allOf" in field:
        return types_said(field["allOf"][0], document)
    kind = field.get("type", "string")
    return {NoneType} if kind == "null" else {WORDS.get(kind, str)}


def test_the_server_has_every_field_that_the_client_knows(document):
    checked = 0
    for name, model in vars(schemas).items():
        if not isinstance(model, type) or not issubclass(model, schemas.Answer):
            continue
        if model is schemas.Answer:
            continue
        said = document[SERVERS.get(name, name)]
        for field, info in model.model_fields.items():
            assert field in said["properties"], f"{name}.{field}"
            kinds = types_said(said["properties"][field], document)
            ours = types_of(info.annotation)
            if NoneType in kinds:
                assert NoneType in ours, f"{name}.{field} may be null"
            for kind in ours - {NoneType}:
                text = issubclass(kind, str) or kind.__name__ == "datetime"
                fits = str if text else BaseModel if issubclass(kind, BaseModel) else kind
                assert fits in kinds, f"{name}.{field} is {kinds}"
            checked += 1
    assert checked > 120


def test_newer_servers_may_say_more(document):
    me = schemas.Me.model_validate(
        {"id": "usr_1", "name": "ada", "role": "owner", "key": None, "team": "vision"}
    )
    assert me.team == "vision" and me.role == "owner"


def test_a_job_is_shown_by_what_tells_it_from_others():
    job = schemas.Job.model_construct(
        id="job_1", kind="train", status="queued", name="mine", encoder=None
    )
    assert str(job) == "Job('job_1', kind='train', status='queued', name='mine')"
