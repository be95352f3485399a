"""How quick the feature explorer is: `paka-server up`, and a real Chromium that looks at pictures.

From a picture, or another encoder, to both maps painted; from a patch pointed at to its two heat
maps drawn; and what scaling a large photograph down in the browser does to its features.
"""

import argparse
import base64
import io
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import httpx
import numpy as np
from PIL import Image
from safetensors.numpy import load

from benchmarks.load.server import running
from benchmarks.machine import describe
from paka.scenes.scene import draw_scene

if TYPE_CHECKING:
    from playwright.sync_api import Page

STARTER = "vit_starter_patch16_224"
DROP = """(content) => {
  const files = new DataTransfer();
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  files.items.add(new File([bytes], "photograph.jpg", {type: "image/jpeg"}));
  dispatchEvent(new DragEvent("drop", {dataTransfer: files, cancelable: true}));
}"""
HEADINGS = "| ms | median | p95 | most |\n| --- | --- | --- | --- |"
MAPS = "performance.getEntriesByName('maps')"
# The handler's own time, synchronous, as the mouse goes over all patches of a diagonal.
POINT = """() => {
  const pane = document.querySelector(".pane.source");
  const {left, top, width, height} = pane.getBoundingClientRect();
  return Array.from({length: 50}, (_, i) => {
    const [x, y] = [((i * 7) % 50 + 0.5) / 50, (i + 0.5) / 50];
    const at = {clientX: left + width * x, clientY: top + height * y};
    const started = performance.now();
    pane.dispatchEvent(new PointerEvent("pointermove", {...at, pointerType: "mouse"}));
    return performance.now() - started;
  });
}"""


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.explorer", description=__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    repeats = parser.parse_args().repeats
    print(f"{describe()}; {repeats} repeats\n")
    with tempfile.TemporaryDirectory(prefix="paka-explorer-") as folder:
        (Path(folder) / "data").mkdir()
        with running(Path(folder), Path(folder) / "data", "") as server:
            measure(server.url, repeats)
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")


def measure(url: str, repeats: int) -> None:
    """Print each row as it is there."""
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("PAKA_CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        sys.exit("no chromium on the path; set PAKA_CHROMIUM to its program")
    small = [photograph(seed, 640, 480) for seed in range(repeats)]
    large = [photograph(seed, 4000, 3000) for seed in range(repeats)]
    print(HEADINGS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        address = f"{url}/#/explore?a={STARTER}&b={STARTER}"
        page.goto(address)
        row("first picture", [maps(page, 1)])
        row("another picture, 640 x 480", [dropped(page, one) for one in small])
        row("another picture, 4000 x 3000", [dropped(page, one) for one in large])
        row("another encoder", encoders(page, repeats))
        row("a patch, 20 x 20 (its handler)", page.evaluate(POINT))
        page.locator("#size-a").select_option(str(37 * 16))
        page.locator("#size-b").select_option(str(37 * 16))
        maps(page, page.evaluate(f"{MAPS}.length") + 1)
        page.wait_for_timeout(3000)
        row("a patch, 37 x 37 (its handler)", page.evaluate(POINT))
        page.goto("about:blank")
        page.goto(address)
        maps(page, 1)
        print(f"\n{likeness(page, url, large[0])}")
        browser.close()


def photograph(seed: int, width: int, height: int) -> bytes:
    """A JPEG as large as a camera's: a drawn scene, with as much grain as a sensor has."""
    rng = np.random.default_rng(seed)
    scene = Image.fromarray(draw_scene(seed, 512).image).resize((width, height))
    pixels = np.asarray(scene) + rng.normal(0, 4, (height, width, 1))
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def row(name: str, milliseconds: list[float]) -> None:
    """Print a line of the table."""
    figures = (median(milliseconds), float(np.percentile(milliseconds, 95)), max(milliseconds))
    print("|", name, "|", " | ".join(f"{figure:.1f}" for figure in figures), "|", flush=True)


def maps(page: "Page", count: int) -> float:
    """Wait until maps were painted `count` times; milliseconds of the last time."""
    page.wait_for_function(f"(count) => {MAPS}.length >= count", arg=count, timeout=120_000)
    milliseconds: float = page.evaluate(f"{MAPS}.at(-1).duration")
    time.sleep(0.5)  # so that what follows a painting is over, as between two clicks of a person
    return milliseconds


def after(page: "Page", act: Callable[[], None]) -> float:
    """Milliseconds until maps were painted after this."""
    count = page.evaluate(f"{MAPS}.length")
    act()
    return maps(page, count + 1)


def dropped(page: "Page", content: bytes) -> float:
    """Milliseconds after a file was dropped."""
    text = base64.b64encode(content).decode()
    return after(page, lambda: page.evaluate(DROP, text))


def encoders(page: "Page", repeats: int) -> list[float]:
    """Milliseconds after B became another encoder, both of them warm."""
    box = page.get_by_role("combobox", name="Encoder B")

    def choose(reference: str) -> float:
        def act() -> None:
            box.fill(reference)
            box.press("Enter")

        return after(page, act)

    names = [f"{STARTER}@random", STARTER]
    return [choose(names[i % 2]) for i in range(repeats + 1)][1:]  # the first loads the weights


def likeness(page: "Page", url: str, content: bytes) -> str:
    """Cosine of each patch token of the scaled photograph with that of the original."""
    with page.expect_response("**/embed") as caught:
        dropped(page, content)
    scaled = load(caught.value.body())["patch_tokens"].astype(np.float32)
    fields = {"encoder": STARTER, "size": "320"}
    answer = httpx.post(f"{url}/embed", files={"images": content}, data=fields, timeout=60)
    whole = load(answer.raise_for_status().content)["patch_tokens"].astype(np.float32)
    norms = np.linalg.norm(scaled, axis=-1) * np.linalg.norm(whole, axis=-1)
    cosines = (scaled * whole).sum(-1) / norms
    return (
        f"patch tokens of a photograph scaled in the browser against the original's: cosine "
        f"{cosines.mean():.4f} in the mean, {cosines.min():.4f} at least"
    )


if __name__ == "__main__":
    main()
