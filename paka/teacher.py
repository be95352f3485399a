"""The teacher: a moving average of the student, which sees plain crops and gives no gradient."""

import copy

import torch
from torch import Tensor, nn

from paka.student import Student
from paka.views.photometric import augment
from paka.views.pipeline import ViewBatch


class Teacher(nn.Module):
    """Encoder and head that follow the student's (momentum of NeCo: 0.9995 -> 1.0)."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(student.encoder)
        self.head = copy.deepcopy(student.head)
        self.requires_grad_(False).eval()
        self._followed: list[Tensor] = [*student.encoder.parameters(), *student.head.parameters()]
        self._following: list[Tensor] = [*self.encoder.parameters(), *self.head.parameters()]

    @torch.no_grad()
    def maps(self, batch: ViewBatch) -> Tensor:
        """Return patch tokens (B, G, H, W, D) of the global crops, uint8; plain, if not told else.

        Where the batch has photometric parameters for them, their colours are disturbed first.
        """
        images, parameters = batch.global_images.flatten(0, 1), batch.teacher_photometric
        if parameters.shape[1]:
            disturbed = augment(images.float().div_(255), parameters.flatten(0, 1))
            images = self.encoder.standardise(disturbed)
        else:
            images = self.encoder.normalise(images)
        return self.encoder.patch_tokens(images).unflatten(0, batch.global_images.shape[:2])

    @torch.no_grad()
    def update(self, momentum: float) -> None:
        """Move every parameter: teacher = momentum * teacher + (1 - momentum) * student."""
        torch._foreach_lerp_(self._following, self._followed, 1 - momentum)
