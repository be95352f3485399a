"""What there is: encoders, data sets, the cluster."""

import io
import json
import tarfile

import pytest
from playwright.sync_api import expect
from redis import Redis

from service.store.base import utc_now
from service.store.contract import CONTRACT_VERSION, worker_key
from service.store.status import JobStatus

GIB = 2**30


def archive(folder, **files):
    """A .tar.gz with these files."""
    path = folder / "more.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            about = tarfile.TarInfo(f"{name}.jpg")
            about.size = len(content)
            tar.addfile(about, io.BytesIO(content))
    return path


@pytest.fixture
def slots(redis_url):
    """A worker with two GPUs has announced itself."""
    gpus = [
        {
            "id": f"gpu7/{n}",
            "device": "NVIDIA H100",
            "total_bytes": 80 * GIB,
            "free_bytes": 20 * GIB,
        }
        for n in range(2)
    ]
    about = {"name": "gpu7:1", "kind": "jobs", "host": "gpu7", "pid": 1, "version": "1"}
    about |= {"device": "cuda", "contract": CONTRACT_VERSION, "slots": gpus}
    key = worker_key("jobs", "gpu7:1")
    with Redis.from_url(redis_url) as redis:
        redis.set(key, json.dumps({**about, "started_at": utc_now().isoformat()}))
        yield
        redis.delete(key)


def test_encoders_are_downloaded_and_bases_found(open_page, site):
    lease = site.start(site.add_job("made one"))
    encoder = site.add_encoder(lease, "made one", b"its weights")
    site.end(lease, JobStatus.SUCCEEDED)
    page = open_page("#/encoders")
    made = page.get_by_role("table", name="Post-trained").get_by_role("row", name="made one")
    expect(made).to_contain_text("60")
    assert (
        made.get_by_role("link", name="made one").first.get_attribute("href").endswith(lease.job_id)
    )
    explore = made.get_by_role("link", name="Explore features of made one").get_attribute("href")
    assert explore == f"#/explore?a=vit_starter_patch16_224&b={encoder}"
    with page.expect_download() as download:
        made.get_by_role("link", name="Download made one").click()
    assert download.value.path().read_bytes() == b"its weights"
    page.get_by_label("Search encoders").fill("DINOv2 base")
    bases = page.get_by_role("table", name="Base architectures").get_by_role("row")
    expect(bases.filter(has_text="aimv2")).to_have_count(0)
    expect(bases.filter(has_text="vit_base_patch14_dinov2.lvd142m")).to_be_visible()
    expect(made).to_have_count(0)
    page.get_by_label("Search encoders").fill("One made")
    expect(made).to_be_visible()
    expect(page.get_by_text("No architecture matches.")).to_be_visible()
    page.get_by_label("Search encoders").fill("nothing like it")
    expect(page.get_by_text("No post-trained encoder matches.")).to_be_visible()


def test_a_data_set_is_uploaded_and_deleted(open_page, site, photos, tmp_path):
    photo = (photos / "chelsea.jpg").read_bytes()
    page = open_page("#/datasets", allow=("a status of 4",))
    expect(page.get_by_role("row", name="photos")).to_contain_text("12")
    page.get_by_label("Archive").set_input_files(archive(tmp_path, cat=photo, bad=b"no image"))
    assert page.get_by_label("Name").input_value() == "more"
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("more is there, with 1 images.")).to_be_visible()
    page.get_by_text("1 image could not be read and was left out").click()
    expect(page.get_by_text("bad.jpg", exact=True)).to_be_visible()
    mine = page.get_by_role("table").get_by_role("row", name="more")
    expect(mine).to_contain_text("local")
    # Once more under the same name: refused, and nothing is lost.
    page.get_by_label("Archive").set_input_files(archive(tmp_path, cat=photo))
    page.get_by_role("button", name="Upload").click()
    expect(page.locator(".page-datasets .problem").filter(has_text="more")).to_be_visible()
    page.get_by_role("button", name="Delete more").click()
    page.get_by_role("button", name="Delete for good").click()
    expect(mine).to_have_count(0)
    assert site.api.get("/datasets/more").status_code == 404


def test_what_is_wrong_with_an_upload_stands_beside_its_field(open_page, tmp_path):
    page = open_page("#/datasets", allow=("a status of 4",))
    broken = tmp_path / "broken.tar"
    broken.write_bytes(b"no archive")
    page.get_by_label("Archive").set_input_files(broken)
    page.get_by_label("Name").evaluate("field => field.removeAttribute('pattern')")
    page.get_by_label("Name").fill("../x")
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("#name-error")).not_to_be_empty()
    expect(page.get_by_label("Name")).to_be_focused()
    expect(page.get_by_label("Name")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Name").fill("right")
    page.get_by_role("button", name="Upload").click()
    expect(page.locator(".page-datasets .problem").filter(has_text="archive")).to_be_visible()
    expect(page.locator("#name-error")).to_be_empty()


def test_the_cluster_shows_gpus_the_queue_and_use(open_page, site, slots, let_pass):
    first, second = site.add_job("in front"), site.add_job("behind", priority="low")
    page = open_page("#/cluster", clock=True)
    expect(page.get_by_text("NVIDIA H100")).to_have_count(2)
    memory = page.get_by_role("progressbar", name="Memory of gpu7/0")
    assert memory.get_attribute("aria-valuenow") == "75"
    queue = page.get_by_role("table", name="Queue")
    expect(queue.get_by_role("row").nth(1)).to_contain_text("in front")
    expect(queue.get_by_role("row").nth(2)).to_contain_text("low")
    expect(page.get_by_role("link", name="behind")).to_have_attribute("href", f"#/jobs/{second}")
    expect(page.get_by_text("free;")).to_be_visible()
    site.api.post(f"/jobs/{first}/cancel")
    let_pass(page, 3)
    expect(queue.get_by_role("row").nth(1)).to_contain_text("behind")


def test_for_how_long_a_worker_is_up_goes_on(open_page, slots, let_pass):
    page = open_page("#/cluster", clock=True)
    up = page.get_by_text("up for")
    before = up.inner_text()
    let_pass(page, 3)
    expect(up).not_to_have_text(before)


def test_without_workers_it_says_that_jobs_wait(open_page):
    page = open_page("#/cluster")
    expect(page.get_by_text("No worker has announced itself")).to_be_visible()
