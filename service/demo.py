"""`make demo`: the whole service once, on this machine.

Starts `paka-server up`, posts a `tiny` post-training job, follows it, asks for the dense features
of one image before and after, and leaves pictures and features in a folder. Without photographs of
the user's own it draws scenes, whose labels then tell whether the post-training helped.
"""

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

import numpy as np
import typer
from rich.console import Console

from service.client import ConnectionFailed, Job, PakaClient, PakaError, ServiceUnavailable

BASE = "vit_starter_patch16_224"
SIZE = 448
BIN = Path(sys.executable).parent

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
        after = embed(client, str(job.encoder), photo, output / "after.safetensors")
        metrics = client.metric_rows(job)
        if data is None:
            report(client, job, output / "report.html")
    draw(output, photo, before, after, metrics)
    console.print("\n[bold green]Done.[/] Look at:")
    shown = ("report.html",) if data is None else ()
    for name in (*shown, "features.png", "loss.png", "before.safetensors", "after.safetensors"):
        console.print(f"  {output / name}", soft_wrap=True)
    console.print("\nThe same in a browser, and your own jobs:")
    command = f"{BIN}/paka-server up --home {output / 'server'} --data {data or output}"
    console.print(f"  {command}", soft_wrap=True)


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
def server(home: Path, photos: Path) -> Iterator[PakaClient]:
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
        wait_until_ready(f"http://127.0.0.1:{port}", process, home / "server.log")
        with PakaClient(f"http://127.0.0.1:{port}") as client:
            yield client
    except PakaError as error:
        raise SystemExit(f"error: {error}") from error
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for the API, the database, Redis and both workers."""
    deadline = time.monotonic() + 120
    with PakaClient(url, retries=0) as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                client.ready()
            except (ConnectionFailed, ServiceUnavailable):
                time.sleep(0.2)  # it is not listening yet, or a worker has not announced itself
            else:
                return
    console.print(log.read_text()[-3000:])
    raise SystemExit("the server did not become ready; its log is above")


def train(client: PakaClient, folder: Path, labelled: bool) -> Job:
    """Post the job and show its progress; return it when it has succeeded.

    Args:
        labelled: `folder` has labels, to be used after the training, for evaluation alone.
    """
    dataset = str(folder / "images" / "train" if labelled else folder)
    evaluate = {"dataset": str(folder), "protocols": ["in_context", "knn"]} if labelled else None
    console.print(f"\n[bold]POST /train[/]  preset tiny, encoder {BASE}, dataset {dataset}")
    job = client.train(dataset, BASE, preset="tiny", name="demo", evaluate=evaluate)
    return client.wait(job, progress=True)


def embed(client: PakaClient, encoder: str, photo: Path, target: Path) -> np.ndarray:
    """Ask for one photograph's dense features, keep the answer, return them as (h, w, D)."""
    features = client.embed(photo, encoder, size=SIZE, resize="stretch")
    features.save(target)
    tokens: np.ndarray = features.patch_tokens[0]
    console.print(f"  {encoder}: {tokens.shape} {tokens.dtype}")
    return tokens.astype(np.float32)


def report(client: PakaClient, job: Job, target: Path) -> None:
    """Print what the post-training changed, and keep the report's page."""
    console.print("\n[bold]GET /jobs/…/report[/]  on labels that the training did not see")
    for result in client.report(job).results:
        change = result.difference
        if change is None or change.low is None or change.high is None:
            continue
        if result.metric in ("miou", "accuracy"):
            name = f"{result.protocol} {result.metric}"
            before, after = result.value - change.value, result.value
            interval = f"{change.low * 100:+.1f} to {change.high * 100:+.1f}"
            line = f"{before * 100:.1f} % before, {after * 100:.1f} % after"
            chance = ", which may be chance" if change.low <= 0 <= change.high else ""
            console.print(f"  {name}: {line} (change within {interval}{chance})")
    console.print("  80 steps on 200 images show that it runs; docs/results.md has what it gains")
    target.write_text(client.report_text(job, "html"))


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
