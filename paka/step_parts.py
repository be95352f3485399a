"""The names of a step's parts, also for those who load no torch."""

PARTS = (
    "load",
    "transfer",
    "teacher",
    "augment",
    "student",
    "align",
    "loss",
    "backward",
    "optimizer",
    "average",
)
"""The parts of a step in their order: wait for images, send them to the device, the teacher's
forward pass, disturb the student's crops in colour, its forward pass, bring both to one grid and
through the heads, loss, backward pass, clipping and update, and the teacher's moving average.
"""
