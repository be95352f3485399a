import base64
import io
import json
import subprocess
import sys

import jsonschema
import pytest
from fastapi.openapi.models import OpenAPI
from PIL import Image
from pydantic import TypeAdapter

from service.app import create_app
from service.audit.schemas import AuditView
from service.embed.schemas import PIXEL, EmbedBody
from service.encoders.schemas import EncoderView
from service.errors import PROBLEM_TYPE, Problem
from service.evaluate.schemas import EvaluateRequest
from service.jobs.schemas import JobPatch, JobView
from service.store.settings import Settings
from service.train.schemas import TrainRequest
from service.users.schemas import KeyRequest, UserPatch, UserRequest

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture(scope="module")
def document():
    return json.loads(json.dumps(create_app(Settings()).openapi()))


def operations(document):
    return [
        (f"{method} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def resolve(document, schema):
    """The schema with the document's definitions where a validator finds them."""
    text = json.dumps({**schema, "$defs": document["components"]["schemas"]})
    return json.loads(text.replace("#/components/schemas/", "#/$defs/"))


def test_importing_the_application_needs_neither_environment_nor_torch(tmp_path):
    code = (
        "import sys; import service.app; "
        "print([name for name in ('torch', 'timm', 'worker') if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], env={}, cwd=tmp_path, capture_output=True, text=True
    )
    assert (result.stdout, result.stderr) == ("[]\n", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("module", ["service.connections", "service.embed.service"])
def test_a_running_application_needs_no_torch_either(module):
    code = f"import sys; import service.app, {module}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_document_is_openapi_and_its_schemas_are_json_schema(document):
    OpenAPI.model_validate(document)
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    for reference in json.dumps(document).split('"$ref": "')[1:]:
        name = reference.partition('"')[0].removeprefix("#/components/schemas/")
        assert name in document["components"]["schemas"]


def test_every_operation_is_described_and_names_its_errors(document):
    for name, operation in operations(document):
        assert operation["summary"], name
        assert len(operation["description"]) > 20, name
        assert len(operation["tags"]) == 1, name
        for status, response in operation["responses"].items():
            if status >= "400":
                assert list(response["content"]) == [PROBLEM_TYPE], (name, status)
                schema = response["content"][PROBLEM_TYPE]["schema"]
                assert schema == {"$ref": "#/components/schemas/Problem"}
        assert {"422", "500"} <= operation["responses"].keys(), name


def test_every_operation_that_design_names_is_there(document):
    assert {name for name, _ in operations(document)} == {
        "post /train",
        "get /train/presets",
        "post /evaluate",
        "post /embed",
        "get /jobs",
        "get /jobs/{job_id}",
        "patch /jobs/{job_id}",
        "delete /jobs/{job_id}",
        "post /jobs/{job_id}/cancel",
        "post /jobs/{job_id}/resume",
        "get /jobs/{job_id}/metrics",
        "get /jobs/{job_id}/events",
        "get /jobs/{job_id}/log",
        "get /jobs/{job_id}/checkpoints",
        "get /jobs/{job_id}/checkpoints/{step}/encoder.safetensors",
        "get /jobs/{job_id}/report",
        "get /jobs/{job_id}/features",
        "get /jobs/{job_id}/features/{file}",
        "get /encoders",
        "get /encoders/{encoder_id}",
        "get /encoders/{encoder_id}/weights",
        "get /datasets",
        "post /datasets",
        "get /datasets/{name}",
        "delete /datasets/{name}",
        "post /session",
        "delete /session",
        "get /me",
        "get /me/keys",
        "post /me/keys",
        "delete /keys/{key_id}",
        "get /users",
        "post /users",
        "patch /users/{user_id}",
        "delete /users/{user_id}",
        "get /users/{user_id}/keys",
        "post /users/{user_id}/keys",
        "get /audit",
        "get /cluster",
        "get /storage",
        "post /gc",
        "get /health",
        "get /ready",
        "get /metrics",
    }


@pytest.mark.parametrize(
    "model",
    [
        TrainRequest,
        EvaluateRequest,
        EmbedBody,
        JobView,
        JobPatch,
        EncoderView,
        UserRequest,
        UserPatch,
        KeyRequest,
        AuditView,
        Problem,
    ],
)
def test_every_example_fits_its_model_and_its_schema(model, document):
    schema = model.model_json_schema()
    assert schema["examples"]
    for example in schema["examples"]:
        TypeAdapter(model).validate_json(json.dumps(example))
        jsonschema.validate(example, schema)


def test_the_image_of_the_examples_can_be_decoded():
    with Image.open(io.BytesIO(base64.b64decode(PIXEL))) as image:
        image.load()
        assert image.size == (1, 1)


def test_the_bodies_of_train_and_embed_are_described(document):
    body = document["paths"]["/train"]["post"]["requestBody"]["content"]["application/json"]
    schema = resolve(document, body["schema"])
    jsonschema.validate({"dataset": "photos", "encoder": "test_vit@random"}, schema)
    jsonschema.validate({"dataset": "photos", "encoder": {"architecture": "test_vit"}}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"dataset": "photos", "optim": {"batch_size": 0}}, schema)
    content = document["paths"]["/embed"]["post"]["requestBody"]["content"]
    assert set(content) == {"multipart/form-data", "application/json"}
    jsonschema.validate(
        {"images": ["aGk="], "size": [32, 48], "layers": [-1]},
        content["application/json"]["schema"],
    )
    images = content["multipart/form-data"]["schema"]["properties"]["images"]
    assert images["items"] == {"type": "string", "format": "binary"}


@sqlite_only
def test_errors_of_the_framework_are_problems_too(api, assert_problem):
    detail = assert_problem(api.get("/nothing"), 404, "not_found")
    assert detail == "there is nothing at /nothing; /docs lists what there is"
    response = api.delete("/train")
    detail = assert_problem(response, 405, "method_not_allowed")
    assert detail == "/train does not take DELETE, but POST"
    assert response.headers["allow"] == "POST"
    response = api.post("/jobs/job_0")
    assert_problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "DELETE, GET, PATCH"


@sqlite_only
def test_an_unexpected_error_is_a_problem_that_tells_nothing_of_our_insides(
    settings, serving, assert_problem
):
    app = create_app(settings)

    @app.get("/bug")
    def bug():
        raise RuntimeError("the secret")

    with serving(app) as api:
        response = api.get("/bug")
    assert_problem(response, 500, "internal")
    assert "secret" not in response.text
