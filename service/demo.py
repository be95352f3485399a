"""`make demo`: the whole service once, on this machine, over real photographs.

Starts `paka-server up`, posts a `tiny` post-training job, follows it, asks for the dense features
of one photograph before and after, and leaves pictures and features in a folder.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors.numpy import load as load_tensors

BASE = "vit_starter_patch16_224"
SIZE = 448
PHOTOS = [
    *("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png"),
    *("hubble_deep_field.jpg", "retina.jpg", "ihc.png", "brick.png", "grass.png", "gravel.png"),
    *("coins.png", "camera.png"),
]

console = Console(highlight=False)


def main(
    data: Annotated[
        Path | None, typer.Option(help="A folder of your own photographs.", exists=True)
    ] = None,
    output: Annotated[Path, typer.Option(help="Where the results go.")] = Path("demo"),
) -> None:
    """Run the whole service once and leave pictures and features in a folder."""
    output.mkdir(parents=True, exist_ok=True)
    photos = data.resolve() if data else bundled_photos(output.resolve() / "photos")
    with server(output.resolve() / "server", photos) as client:
        job = train(client, photos)
        photo = next(iter(sorted(photos.glob("chelsea*"))), None) or first_image(photos)
        console.print(f"\n[bold]POST /embed[/]  {photo.name}, before and after, at {SIZE} pixels")
        before = embed(client, BASE, photo, output / "before.safetensors")
        after = embed(client, job["encoder"], photo, output / "after.safetensors")
        metrics = client.get(f"/jobs/{job['id']}/metrics", params={"limit": 1000}).json()["data"]
    draw(output, photo, before, after, metrics)
    console.print("\n[bold green]Done.[/] Look at:")
    for name in ("features.png", "loss.png", "before.safetensors", "after.safetensors"):
        console.print(f"  {output / name}")


def bundled_photos(folder: Path) -> Path:
    """Write the photographs that come inside scikit-image and scikit-learn as JPEG files."""
    import skimage
    import sklearn
    from PIL import Image

    sources = [Path(skimage.__file__).parent / "data" / name for name in PHOTOS]
    images = Path(sklearn.__file__).parent / "datasets" / "images"
    sources += [images / "china.jpg", images / "flower.jpg"]
    folder.mkdir(exist_ok=True)
    for source in sources:
        with Image.open(source) as image:
            image.convert("RGB").save(folder / f"{source.stem}.jpg", quality=92)
    return folder


def first_image(folder: Path) -> Path:
    """The first image of a folder of the user's own."""
    from paka.data.folder import list_images

    return list_images(folder)[0]


@contextmanager
def server(home: Path, photos: Path) -> Iterator[httpx.Client]:
    """Run `paka-server up` on a free port for as long as the block lasts."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "service.cli", "up", "--home", str(home)]
    command += ["--port", str(port), "--data", str(photos)]
    console.print(f"[bold]paka-server up[/]  on port {port}, log in {home / 'server.log'}")
    with (home / "server.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=dict(os.environ))
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
            wait_until_ready(client, process, home / "server.log")
            yield client
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def wait_until_ready(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for the API, the database, Redis and both workers."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if client.get("/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(0.2)
    console.print(log.read_text()[-3000:])
    raise SystemExit("the server did not become ready; its log is above")


def train(client: httpx.Client, photos: Path) -> dict[str, Any]:
    """Post the job and show its progress; return it when it has succeeded."""
    body = {"preset": "tiny", "name": "demo", "encoder": BASE, "dataset": str(photos)}
    console.print(f"\n[bold]POST /train[/]  {json.dumps(body)}")
    job: dict[str, Any] = checked(client.post("/train", json=body)).json()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("queued", total=None, note="")
        for event in events(client, job["id"]):
            if event["type"] == "status":
                progress.update(bar, description=event["message"])
            if event["type"] == "metrics":
                row = event["data"]
                if "loss" not in row:  # before the first step there are only probes
                    continue
                note = f"loss {row['loss']:.3f}  {row['images_per_second']:.1f} images/s"
                progress.update(bar, completed=row["step"], total=row["total_steps"], note=note)
    job = checked(client.get(f"/jobs/{job['id']}")).json()
    if job["status"] != "succeeded":
        raise SystemExit(f"the job {job['status']}: {job['error']}")
    return job


def events(client: httpx.Client, job_id: str) -> Iterator[dict[str, Any]]:
    """A job's events as they happen, until it has ended."""
    with client.stream("GET", f"/jobs/{job_id}/events") as response:
        for line in response.iter_lines():
            if line.startswith("data:"):
                yield json.loads(line[5:])


def embed(client: httpx.Client, encoder: str, photo: Path, target: Path) -> np.ndarray:
    """Ask for one photograph's dense features, keep the answer, return them as (h, w, D)."""
    with photo.open("rb") as file:
        response = client.post(
            "/embed",
            files={"images": (photo.name, file, "image/jpeg")},
            data={"encoder": encoder, "size": str(SIZE), "resize": "stretch"},
        )
    target.write_bytes(checked(response).content)
    tokens: np.ndarray = load_tensors(response.content)["patch_tokens"][0]
    console.print(f"  {encoder}: {tokens.shape} {tokens.dtype}")
    return tokens.astype(np.float32)


def checked(response: httpx.Response) -> httpx.Response:
    """Return the response, or stop with the problem that it names."""
    if response.is_error:
        raise SystemExit(f"{response.request.url}: {response.text}")
    return response


def draw(
    output: Path,
    photo: Path,
    before: np.ndarray,
    after: np.ndarray,
    metrics: list[dict[str, Any]],
) -> None:
    """Write the PCA pictures side by side and the loss curve."""
    from PIL import Image

    from paka.plots import feature_picture, loss_curve

    with Image.open(photo) as image:
        pixels = np.asarray(image.convert("RGB"))
    maps = {f"before: {BASE}": before, "after PaKA": after}
    feature_picture([(pixels, maps)]).savefig(output / "features.png")
    loss_curve(metrics).savefig(output / "loss.png")


if __name__ == "__main__":
    typer.run(main)
