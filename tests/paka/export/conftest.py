"""Small encoders of every kind, each weight of them drawn, so that none can be lost unnoticed."""

import pytest
import timm
import torch

from paka.architectures import find_architecture
from paka.encoder import DenseEncoder


def make_encoder(name, **arguments):
    """timm's model of this name with other dimensions, two blocks deep unless told otherwise."""
    encoder, facts = DenseEncoder("test_vit", "random"), find_architecture(name)
    arguments = {"depth": 2, **arguments}
    encoder.vit = timm.create_model(name, num_classes=0, dynamic_img_size=True, **arguments)
    encoder.architecture = facts._replace(
        dim=encoder.vit.embed_dim,
        depth=arguments["depth"],
        size=arguments.get("img_size", facts.size),
    )
    for part in ("mean", "std"):
        setattr(encoder, part, torch.tensor(getattr(facts, part)).view(3, 1, 1))
    return draw(encoder)


def draw(encoder):
    """Move every weight, also those that begin as zero or one."""
    generator = torch.Generator().manual_seed(7)
    for parameter in encoder.parameters():
        parameter.requires_grad_(False)
        parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return encoder.eval()


@pytest.fixture
def small():
    return draw(DenseEncoder("test_vit", "random"))
