import pytest

from paka.architectures import architectures

ENCODER = "enc_" + "7" * 26
sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def encoder(job, worker, settings):
    """A post-trained encoder whose weights are the bytes `weights`."""
    path = f"jobs/{job['id']}/final/encoder.safetensors"
    file = settings.artifacts_folder / path
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    worker.claim().add_encoder(ENCODER, path, "ab" * 32)
    worker.end()
    return file


def test_results_are_listed_by_default(api, job, encoder):
    (shown,) = api.get("/encoders").json()["data"]
    assert (shown["id"], shown["kind"], shown["job"]) == (ENCODER, "post-trained", job["id"])
    assert (shown["architecture"], shown["patch_size"]) == ("test_vit", 16)
    assert api.get(f"/encoders/{ENCODER}").json() == shown
    assert api.get("/encoders", params={"after": ENCODER}).json()["data"] == []


@sqlite_only
def test_bases_are_listed_by_name_in_pages(api):
    seen, after = [], ""
    while after is not None:
        parameters = {"kind": "base", "limit": 300, **({"after": after} if after else {})}
        page = api.get("/encoders", params=parameters).json()
        seen += [encoder["id"] for encoder in page["data"]]
        after = page["next"]
    assert seen == sorted(architectures())
    found = api.get("/encoders", params={"kind": "base", "search": "Reg4 dinov2"}).json()["data"]
    assert found
    assert all("reg4" in encoder["id"] and "dinov2" in encoder["id"] for encoder in found)


@sqlite_only
def test_a_base_is_found_by_its_name(api, assert_problem):
    name = "vit_small_patch14_reg4_dinov2.lvd142m"
    shown = api.get(f"/encoders/{name}").json()
    assert (shown["kind"], shown["dim"], shown["prefix_tokens"]) == ("base", 384, 5)
    detail = assert_problem(api.get(f"/encoders/{name}/weights"), 404, "weights_not_kept")
    assert "timm.create_model" in detail


@sqlite_only
def test_weights_are_downloaded_once(api, encoder):
    response = api.get(f"/encoders/{ENCODER}/weights")
    assert response.content == b"weights"
    assert response.headers["etag"] == f'"{"ab" * 32}"'
    assert f"{ENCODER}.safetensors" in response.headers["content-disposition"]
    etag = {"If-None-Match": response.headers["etag"]}
    assert api.get(f"/encoders/{ENCODER}/weights", headers=etag).status_code == 304
    part = api.get(f"/encoders/{ENCODER}/weights", headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"igh")


@sqlite_only
def test_unknown_or_missing_weights_are_not_found(api, encoder, assert_problem):
    for unknown in ("enc_" + "0" * 26, "enc_x", "vit_nope", "..%2F..%2Fetc"):
        response = api.get(f"/encoders/{unknown}")
        assert response.status_code == 404
        assert api.get(f"/encoders/{unknown}/weights").status_code == 404
    encoder.unlink()
    assert_problem(api.get(f"/encoders/{ENCODER}/weights"), 404, "artifact_not_found")


@sqlite_only
def test_a_path_that_leaves_the_artifacts_is_never_served(
    api, job, worker, settings, assert_problem
):
    (settings.home / "secret").write_text("secret")
    settings.artifacts_folder.mkdir(exist_ok=True)
    worker.claim().add_encoder(ENCODER, "../secret", "0" * 64)
    assert_problem(api.get(f"/encoders/{ENCODER}/weights"), 404, "artifact_not_found")
