"""Views on their way from loading processes to the device."""

from collections.abc import Iterator

import torch

from paka.views.pipeline import Loaded


def sent_ahead(steps: Iterator[list[Loaded]], device: torch.device) -> Iterator[list[Loaded]]:
    """Yield each step's batches on the device; a GPU gets the next ones while it computes these.

    They go through a stream of their own, from pinned memory. Whoever takes a step's batches only
    asks for computations with them, and waits for none, before it takes the next.
    """
    if device.type != "cuda":
        yield from steps
        return
    stream, computing = torch.cuda.Stream(device), torch.cuda.current_stream(device)

    def send() -> list[Loaded] | None:
        batches = next(steps, None)
        with torch.cuda.stream(stream):
            return batches and [one._replace(views=one.views.to(device)) for one in batches]

    coming = send()
    while coming is not None:
        computing.wait_stream(stream)
        for batch in coming:
            for tensor in batch.views:
                tensor.record_stream(computing)  # its memory is free only once it was used there
        yield coming
        coming = send()
