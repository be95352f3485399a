"""`paka encoders`: which architectures there are."""

from typing import Annotated

import typer

from paka.cli.errors import fail


def encoders(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILTER]...", help="Only names that contain all of these."),
    ] = None,
) -> None:
    """List the encoders that can be post-trained.

    Each is a vision transformer of timm. Sizes are in pixels; any multiple of the patch size works.

    \b
    paka encoders dinov2
    paka encoders siglip so400m
    """
    from paka.architectures import architectures

    wanted = [word.lower() for word in words or ()]
    found = [
        facts
        for name, facts in architectures().items()
        if all(word in name.lower() for word in wanted)
    ]
    if not found:
        fail(f"no encoder's name contains {' and '.join(words or ())}; see paka encoders")
    width = max(len(facts.name) for facts in found)
    typer.echo(f"{'name':<{width}}  patch   dim  depth  default size")
    for facts in found:
        numbers = f"{facts.patch_size:>5}  {facts.dim:>4}  {facts.depth:>5}  {facts.size:>12}"
        typer.echo(f"{facts.name:<{width}}  {numbers}")
