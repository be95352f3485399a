"""The web page before a service that really works."""

import pytest
from playwright.sync_api import expect

# The smallest encoder, and so many steps that somebody has to stop it.
LONG = {
    "preset": "tiny",
    "name": "watched",
    "encoder": "test_vit@random",
    "views": {"global_size": 64, "local_size": 32},
    "loss": {"grid": 2},
    "optim": {"batch_size": 4, "max_steps": 100_000},
    "runtime": {"workers": 0, "log_every": 1, "checkpoint_every_steps": 4, "probe_images": 4},
}


@pytest.mark.parametrize("service", ["sqlite"], indirect=True)
def test_a_training_is_watched_and_stopped(service, photos, browser):
    answer = service.post("/train", json={**LONG, "dataset": str(photos)})
    assert answer.status_code == 202, answer.text
    page = browser.new_page()
    page.goto(f"{service.base_url}/")
    page.get_by_role("link", name="watched").click()
    loss = page.locator("figure").filter(has=page.get_by_role("img", name="Loss", exact=True))
    expect(loss).to_be_visible(timeout=60_000)
    before = loss.locator(".summary").inner_text()
    expect(loss.locator(".summary")).not_to_have_text(before, timeout=20_000)  # it is live
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the job").click()
    expect(page.locator(".title .status")).to_have_text("cancelled", timeout=60_000)
    expect(page.get_by_role("heading", name="Checkpoints")).to_be_visible()
    link = page.get_by_role("link", name="Download Step").first
    with page.expect_download() as download:
        link.click()
    assert download.value.path().stat().st_size > 1000
    page.close()
