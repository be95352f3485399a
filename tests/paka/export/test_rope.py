import pytest
import torch

from paka.export.rope import ResizableRope, resizable_rope
from tests.paka.export.conftest import make_encoder


@pytest.mark.parametrize("grid", [(1, 1), (3, 5), (16, 9)])
def test_the_embeddings_are_timms(grid):
    rope = make_encoder("vit_tiny_patch16_dinov3_qkvb", depth=1).vit.rope
    assert torch.allclose(ResizableRope(rope).get_embed(grid), rope.get_embed(grid), atol=1e-6)


def test_a_model_gets_its_own_back_and_others_are_left_alone(small):
    vit = make_encoder("vit_tiny_patch16_dinov3_qkvb", depth=1).vit
    own = vit.rope
    with pytest.raises(KeyError), resizable_rope(vit):
        assert isinstance(vit.rope, ResizableRope)
        raise KeyError
    assert vit.rope is own
    with resizable_rope(small.vit):
        assert not hasattr(small.vit, "rope")
