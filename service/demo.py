"""`make demo`: the whole service once, on this machine.

Starts `paka-server up`, posts a `tiny` post-training job, follows it, asks for the dense features
of one image before and after, and leaves pictures and features in a folder. Without photographs of
the user's own it draws scenes, whose labels then tell whether the post-training helped.
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

console = Console(highlight=False)


def main(
    data: Annotated[
        Path | None, typer.Option(help="A folder of your own photographs.", exists=True)
    ] = None,
    output: Annotated[Path, typer.Option(help="Where the results go.")] = Path("demo"),
) -> None:
    """Run the whole service once and leave pictures and features in a folder."""
    output.mkdir(parents=True, exist_ok=True)
    folder = data.resolve() if data else drawn_scenes(output.resolve() / "scenes")
    with server(output.resolve() / "server", folder) as client:
        job = train(client, folder, labelled=data is None)
        photo = first_image(folder)
        console.print(f"\n[bold]POST /embed[/]  {photo.name}, before and after, at {SIZE} pixels")
        before = embed(client, BASE, photo, output / "before.safetensors")
        after = embed(client, job["encoder"], photo, output / "after.safetensors")
        metrics = client.get(f"/jobs/{job['id']}/metrics", params={"limit": 1000}).json()["data"]
        if data is None:
            report(client, job, output / "report.html")
    draw(output, photo, before, after, metrics)
    console.print("\n[bold green]Done.[/] Look at:")
    shown = ("report.html",) if data is None else ()
    for name in (*shown, "features.png", "loss.png", "before.safetensors", "after.safetensors"):
        console.print(f"  {output / name}")


def drawn_scenes(folder: Path) -> Path:
    """Draw labelled scenes by a camera that the starter encoder has not seen through."""
    from paka.scenes.dataset import write_scenes

    if not folder.exists():
        console.print(f"[bold]drawing scenes[/]  into {folder}")
        write_scenes(folder, train=200, val=50, camera="murky")
    return folder


def first_image(folder: Path) -> Path:
    """The first image of a folder."""
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


def train(client: httpx.Client, folder: Path, labelled: bool) -> dict[str, Any]:
    """Post the job and show its progress; return it when it has succeeded.

    Args:
        labelled: `folder` has labels, to be used after the training, for evaluation alone.
    """
    body: dict[str, Any] = {"preset": "tiny", "name": "demo", "encoder": BASE}
    body["dataset"] = str(folder / "images" / "train" if labelled else folder)
    if labelled:
        body["evaluate"] = {"dataset": str(folder), "protocols": ["in_context", "knn"]}
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


def report(client: httpx.Client, job: dict[str, Any], target: Path) -> None:
    """Print what the post-training changed, and keep the report's page."""
    found = checked(client.get(f"/jobs/{job['id']}/report", params={"format": "json"})).json()
    console.print("\n[bold]GET /jobs/…/report[/]  on labels that the training did not see")
    for result in found["results"]:
        change = result["difference"]
        if change is not None and result["metric"] in ("miou", "accuracy"):
            before, after = result["value"] - change["value"], result["value"]
            name = f"{result['protocol']} {result['metric']}"
            interval = f"{change['low'] * 100:+.1f} to {change['high'] * 100:+.1f}"
            line = f"{before * 100:.1f} % before, {after * 100:.1f} % after"
            console.print(f"  {name}: {line} (change within {interval})")
    page = checked(client.get(f"/jobs/{job['id']}/report", params={"format": "html"}))
    target.write_bytes(page.content)


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
