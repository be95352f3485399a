"""Number formats of a run: what autocast uses, and whether gradients need scaling."""

import torch

_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Precision:
    """`auto` is bf16 on a GPU and fp32 on the CPU; parameters stay float32 in any case."""

    def __init__(self, name: str, device: torch.device) -> None:
        if name == "auto":
            name = "bf16" if device.type == "cuda" else "fp32"
        self.device, self.dtype = device, _TYPES[name]
        self.scaler = torch.amp.GradScaler(device.type, enabled=name == "fp16")

    def autocast(self) -> torch.autocast:
        """The context in which models run."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)
