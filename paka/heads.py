"""The projection head, used while training only."""

from torch import nn


class ProjectionHead(nn.Sequential):
    """Three linear layers with GELU between: (…, in_dim) -> (…, out_dim).

    Applied to aligned patches, after RoI alignment, because it is not linear
    (PaKA, appendix D.1; sizes of NeCo).
    """

    def __init__(self, in_dim: int, hidden_dim: int, out_dim: int) -> None:
        super().__init__(
            nn.Linear(in_dim, hidden_dim),
            nn.GELU(),
            nn.Linear(hidden_dim, hidden_dim),
            nn.GELU(),
            # A bias here would shift all tokens alike, which centring in the loss takes away.
            nn.Linear(hidden_dim, out_dim, bias=False),
        )
        for layer in self:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
