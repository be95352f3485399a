"""The feature explorer over a real encoder: the starter, with its weights and with random ones."""

import base64
import json

import pytest
from redis import Redis

from service.embed import pending
from service.store.base import utc_now
from service.store.contract import CONTRACT_VERSION, worker_key
from tests.fixtures.embedder import embedding

BOTH = "#/explore?a=vit_starter_patch16_224&b=vit_starter_patch16_224@random"
GRID = 20  # patches a side of the starter, where the explorer begins
DROP = """([name, type, content]) => {
  const files = new DataTransfer();
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  files.items.add(new File([bytes], name, {type}));
  dispatchEvent(new DragEvent("drop", {dataTransfer: files, cancelable: true}));
}"""
PIXELS = """(name) => {
  const canvas = document.querySelector(`.${name} canvas.map`);
  const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return Array.from({length: data.length / 4}, (_, i) => data.slice(4 * i, 4 * i + 3).join());
}"""


@pytest.fixture(scope="module")
def encoders(redis_url):
    """A worker's embedder that answers whatever waits; the encoders stay warm over the module."""
    with Redis.from_url(redis_url) as redis:
        redis.flushall()
        about = {"name": "w", "kind": "embed", "host": "h", "pid": 1, "version": "1"}
        about |= {"contract": CONTRACT_VERSION, "device": "cpu"}
        about |= {"started_at": utc_now().isoformat()}
        redis.set(worker_key("embed", "w"), json.dumps(about))
        with embedding(redis, warm=4):
            yield redis
        redis.flushall()


@pytest.fixture
def explore(encoders, open_page):
    """Opens the explorer, and waits until it shows its first picture."""

    def explore(address=BOTH, **options):
        page = open_page(address, **options)
        painted(page)
        return page

    return explore


def painted(page):
    page.locator(".maps[aria-busy=false]").wait_for()


def drop(page, name, kind, content):
    page.evaluate(DROP, [name, kind, base64.b64encode(content).decode()])


def pixels(page, name):
    return page.evaluate(PIXELS, name)


def changed(page, name, before):
    """Wait until a map is another than before."""
    script = f"([name, before]) => ({PIXELS})(name).join() !== before.join()"
    page.wait_for_function(script, arg=[name, before])


def held(page, pattern):
    """Hold back the answers to what is asked for; returns them, for `release`."""
    routes = []
    page.route(pattern, lambda route: routes.append(route))
    return routes


def release(page, routes):
    """Let them go on, and wait until the page has dealt with them."""
    for route in routes:
        route.continue_()
    page.evaluate("fetch('/me')")  # is answered after them
    page.evaluate("new Promise((resolve) => setTimeout(resolve, 100))")


def brightest(page, name):
    """Index of the patch with the last colour of the scale."""
    shades = [sum(map(int, pixel.split(","))) for pixel in pixels(page, name)]
    return shades.index(max(shades))


def test_a_dropped_picture_is_painted_by_both_encoders(explore, photos):
    page = explore()
    sample = pixels(page, "pca-a")
    with page.expect_response("**/embed"):
        drop(page, "cat.jpg", "image/jpeg", (photos / "chelsea.jpg").read_bytes())
    changed(page, "pca-a", sample)
    painted(page)
    a, b = pixels(page, "pca-a"), pixels(page, "pca-b")
    assert len(a) == len(b) == GRID * GRID
    assert len(set(a)) > 100 and len(set(b)) > 100 and a != b
    table = page.get_by_role("table", name="Picture")
    assert table.get_by_role("row", name="grid").inner_text().startswith(f"grid\t{GRID} ")
    page.get_by_text("CKA of A and B 0.").wait_for()
    command = page.evaluate("document.querySelector('.pick-a .line a').download")
    assert command == "vit_starter_patch16_224-320.safetensors"


def test_a_patch_is_chosen_by_mouse_and_by_keys(explore):
    page = explore()
    box = page.locator(".pane.source").bounding_box()
    side = box["width"] / GRID
    page.mouse.click(box["x"] + 3.5 * side, box["y"] + 2.5 * side)
    page.get_by_role("table", name="Patch in row 3, column 4").wait_for()
    assert brightest(page, "heat-a") == brightest(page, "heat-b") == 2 * GRID + 3
    assert page.locator(".heat-a rect.alike:not(.under)").count() == 5
    page.mouse.move(0, 0)
    page.locator(".pane.source").focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowDown"):
        page.keyboard.press(key)
    page.get_by_role("table", name="Patch in row 5, column 5").wait_for()
    assert brightest(page, "heat-a") == brightest(page, "heat-b") == 4 * GRID + 4
    page.keyboard.press("Home")
    page.get_by_role("table", name="Patch in row 5, column 1").wait_for()


def test_another_encoder_is_found_by_its_name_with_keys_alone(explore):
    page = explore()
    before = pixels(page, "pca-b")
    box = page.get_by_role("combobox", name="Encoder B")
    box.fill("test_vit@ran")
    page.get_by_role("option", name="test_vit@random", exact=False).first.wait_for()
    page.keyboard.press("ArrowDown")
    assert box.get_attribute("aria-activedescendant")
    with page.expect_response("**/embed"):
        page.keyboard.press("Enter")
    assert box.input_value() == "test_vit@random"
    painted(page)
    changed(page, "pca-b", before)
    assert "b=test_vit%40random" in page.url
    page.get_by_role("button", name="Swap").click()
    page.wait_for_function("() => document.getElementById('encoder-a').value === 'test_vit@random'")
    painted(page)


def test_the_patch_is_looked_for_in_another_picture(explore):
    page = explore()
    with page.expect_response("**/embed"):
        page.get_by_role("button", name="Look in the sample: meadow").click()
    page.locator(".second-b rect.chosen").first.wait_for()
    # It is the same picture, in which the most alike is the patch itself.
    assert pixels(page, "second-a") == pixels(page, "heat-a")
    page.locator(".pane.source").click(position={"x": 12, "y": 12})
    assert brightest(page, "second-a") == brightest(page, "second-b") == 0


def test_what_is_no_picture_is_said_beside_it_and_the_next_one_works(explore):
    page = explore(allow=["422"])
    drop(page, "notes.png", "image/png", b"only text")
    page.locator("#problem-picture").get_by_text("notes.png is not an image").wait_for()
    assert page.locator("#problem-a, #problem-b").all_inner_texts() == ["", ""]
    page.get_by_role("button", name="Sample picture: road").click()
    page.locator("#problem-picture p").wait_for(state="detached")
    painted(page)
    assert len(set(pixels(page, "pca-a"))) > 50


def test_a_sample_that_does_not_come_is_said(explore):
    page = explore(allow=["net::ERR"])
    page.route("**/road.webp", lambda route: route.abort())
    page.get_by_role("button", name="Sample picture: road").click()
    page.get_by_text("The service does not answer.").wait_for()


def test_an_answer_that_comes_after_the_page_was_left_changes_nothing(explore):
    page = explore()
    hold = held(page, "**/encoders/test_vit")
    page.get_by_role("combobox", name="Encoder A").fill("test_vit")
    with page.expect_request("**/encoders/test_vit"):
        page.keyboard.press("Enter")
    offered = "Array.from(document.querySelectorAll('[download]'), (link) => link.href)"
    features = page.evaluate(offered)
    assert len(features) == 2
    page.evaluate(
        "() => { window.freed = []; URL.revokeObjectURL = (url) => window.freed.push(url); }"
    )
    page.get_by_role("link", name="Cluster").click()
    page.get_by_role("heading", name="Cluster").wait_for()
    release(page, hold)
    assert page.url.endswith("#/cluster")
    assert page.evaluate("window.freed") == features


def test_a_slow_answer_does_not_overtake_a_newer_choice(explore):
    page = explore()
    large = "vit_small_patch14_reg4_dinov2.lvd142m"
    hold = held(page, f"**/encoders/{large}")
    box = page.get_by_role("combobox", name="Encoder A")
    box.fill(large)
    with page.expect_request(f"**/encoders/{large}"):
        page.keyboard.press("Enter")
    box.fill("vit_starter_patch16_224")
    with page.expect_response("**/embed"):
        page.keyboard.press("Enter")
    painted(page)
    release(page, hold)
    assert page.locator("#size-a").input_value() == str(GRID * 16)
    painted(page)


def test_an_encoder_that_is_not_there_is_said_beside_it(explore):
    page = explore(allow=["404"])
    page.get_by_role("combobox", name="Encoder A").fill("vit_nope")
    page.keyboard.press("Enter")
    page.locator("#problem-a").get_by_text("vit_nope").wait_for()
    painted(page)
    assert page.locator(".pick-a [download]").is_hidden()
    assert page.locator(".pick-b [download]").is_visible()
    before = pixels(page, "pca-b")
    page.get_by_role("button", name="Sample picture: road").click()
    changed(page, "pca-b", before)  # the other one is shown all the same
    painted(page)
    assert set(pixels(page, "pca-a")) == {"0,0,0"}
    page.get_by_role("button", name="Look in the sample: desert").click()
    page.locator(".second-b rect.chosen").first.wait_for()
    assert page.locator(".second-a rect").count() == 0


def test_no_worker_can_be_waited_for(encoders, open_page, monkeypatch):
    monkeypatch.setattr(pending, "LOOK_SECONDS", 0.01)  # not: it has answered a second ago
    key = worker_key("embed", "w")
    about = encoders.getdel(key)
    try:
        page = open_page(BOTH, allow=["503"])
        again = page.locator("#problem-a").get_by_role("button", name="Try again")
        again.wait_for()
    finally:
        monkeypatch.undo()
        encoders.set(key, about)
    page.locator("#problem-b").get_by_role("button", name="Try again").click()
    again.click()
    painted(page)


def test_the_page_has_no_serious_faults(explore, faultless):
    faultless(explore())
