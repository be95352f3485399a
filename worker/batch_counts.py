"""How many images the forward passes of an embedding worker have."""

from bisect import bisect_left

from service.store.workers import PASS_IMAGES


class BatchCounts:
    """Counts in the thread that computes, while another reads."""

    def __init__(self) -> None:
        self.passes = [0] * len(PASS_IMAGES)
        self.images = 0

    def note(self, images: int) -> None:
        """Count one forward pass of so many images, at most as many as the last of
        `PASS_IMAGES`.
        """
        self.passes[bisect_left(PASS_IMAGES, images)] += 1
        self.images += images
