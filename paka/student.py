"""The student: what learns, as one module, so that gradients of all its parts are shared."""

from collections.abc import Callable

from torch import Tensor, nn

from paka.align import Aligned, Pairing, align
from paka.encoder import DenseEncoder
from paka.heads import ProjectionHead
from paka.views.pipeline import ViewBatch


class Student(nn.Module):
    """Encoder and head; compares its local crops with the teacher's maps of the global ones."""

    def __init__(
        self, encoder: DenseEncoder, head: ProjectionHead, grid: int, pairing: Pairing = "parent"
    ) -> None:
        super().__init__()
        self.encoder, self.head, self.grid, self.pairing = encoder, head, grid, pairing

    def forward(
        self, images: Tensor, teacher_maps: Tensor, batch: ViewBatch, mark: Callable[[str], None]
    ) -> Aligned:
        """Encode local crops, align them with the teacher's maps, and project the student's side.

        Args:
            images: (B * L, 3, s, s), augmented and normalised local crops.
            teacher_maps: (B, G, H, W, D), the teacher's patch tokens of the global crops.
            batch: where the crops lie.
            mark: is told when the crops are encoded, see `StepTimer`.

        Returns:
            student (R, N, out_dim) projected, teacher (R, N, D) not yet projected, valid (R, N);
            R pairs as in `align`.
        """
        tokens = self.encoder.patch_tokens(images)
        mark("student")
        maps = tokens.unflatten(0, batch.local_images.shape[:2])
        aligned = align(maps, teacher_maps, batch, self.grid, self.pairing)
        return aligned._replace(student=self.head(aligned.student))
