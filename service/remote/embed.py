"""`paka remote embed`: images of this machine, answered at once; or a data set, as a job."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from paka.cli.embed import parse_options
from paka.cli.errors import MISUSED, fail
from paka.cli.options import Dtype, FeatureFormat, Layers, Normalize, Pooling, Resize, Size
from service.remote.completion import complete_dataset, complete_encoder
from service.remote.follow import announce, wait_for
from service.remote.options import AsJson, Wait, connected

if TYPE_CHECKING:
    from service.client import PakaClient


def embed(
    context: typer.Context,
    encoder: Annotated[
        str,
        typer.Option(
            help="Id of a post-trained encoder, or name, name@weights.",
            show_default=False,
            autocompletion=complete_encoder,
        ),
    ],
    images: Annotated[
        list[Path] | None,
        typer.Argument(help="Image files of this machine, or one folder.", show_default=False),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="Instead of images: a data set on the server, which becomes a job.",
            show_default=False,
            autocompletion=complete_dataset,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The .safetensors to write.", show_default=False),
    ] = None,
    size: Size = None,
    resize: Resize = "crop",
    layers: Layers = None,
    dtype: Dtype = "float16",
    normalize: Normalize = False,
    pooling: Pooling = "native",
    form: FeatureFormat = "safetensors",
    wait: Wait = False,
    json: AsJson = False,
) -> None:
    """Extract dense features, one vector for each patch.

    \b
    paka remote embed cat.jpg --encoder enc_… --size 448 --output cat.safetensors
    paka remote embed photos --encoder enc_… --output photos.safetensors
    paka remote embed --dataset photos --encoder enc_… --format zarr --wait
    """
    with connected(context) as client:
        options = parse_options(
            size=size,
            layers=layers,
            resize=resize,
            dtype=dtype,
            normalize=normalize,
            pooling=pooling,
        ).model_dump(exclude_none=True)
        if dataset is not None:
            if images or output:
                fail("give either images and --output, or --dataset", MISUSED)
            job = client.embed_dataset(dataset, encoder, format=form, **options)
            announce(wait_for(client, job) if wait else job, json)
        elif not images or output is None:
            fail("give images and --output FILE.safetensors, or --dataset", MISUSED)
        elif output.is_dir():
            fail(f"--output {output} is a folder; name a file", MISUSED)
        else:
            embed_images(client, images, encoder, output, options, json)


def embed_images(
    client: "PakaClient",
    images: list[Path],
    encoder: str,
    output: Path,
    options: dict[str, Any],
    json: bool,
) -> None:
    """Write the features of files of this machine into one file, in the order of the images."""
    from paka.data.folder import list_images
    from service.remote import show

    if len(images) == 1 and images[0].is_dir():
        images = list_images(images[0])
    progress = None if len(images) > 1 else False
    found = client.embed(images, encoder, progress=progress, **options)
    found.save(output)
    if json:
        about = {**found.geometry, "images": [str(path) for path in images], "file": str(output)}
        show.print_json(about)
    else:
        shape = " x ".join(map(str, found.patch_tokens.shape))
        typer.echo(f"written to {output}: patch_tokens {shape} {found.patch_tokens.dtype}")
