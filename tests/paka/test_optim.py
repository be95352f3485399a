import pytest
import torch

from paka.config import OptimConfig
from paka.encoder import DenseEncoder
from paka.heads import ProjectionHead
from paka.optim import all_parameters, make_optimizer, schedule
from paka.student import Student


@pytest.fixture(scope="module")
def student():
    encoder = DenseEncoder("vit_small_patch16_dinov3", "random")
    encoder.freeze_unused()
    return Student(encoder, ProjectionHead(384, 32, 8), grid=4)


def config(**fields):
    return OptimConfig.model_validate({"lr_encoder": 0.1, "lr_head": 0.2, **fields})


def test_every_trainable_parameter_is_in_exactly_one_group(student):
    optimizer = make_optimizer(student, config())
    grouped = [id(p) for p in all_parameters(optimizer)]
    assert sorted(grouped) == sorted(id(p) for p in student.parameters() if p.requires_grad)


def test_norms_biases_and_tokens_do_not_decay(student):
    optimizer = make_optimizer(student, config(weight_decay=0.3))
    schedule(optimizer, config(weight_decay=0.3, weight_decay_end=0.3), 0, 10)
    decay = {
        id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]
    }
    names = {name: decay[id(p)] for name, p in student.named_parameters() if id(p) in decay}
    assert names["encoder.vit.blocks.0.mlp.fc1.weight"] == 0.3
    assert names["head.0.weight"] == 0.3
    for name in (
        "encoder.vit.norm.weight",
        "encoder.vit.cls_token",
        "encoder.vit.reg_token",
        "head.0.bias",
    ):
        assert names[name] == 0.0


def test_rates_start_at_their_peak_and_end_at_zero(student):
    optimizer = make_optimizer(student, config())
    assert schedule(optimizer, config(), 0, 10)["lr_encoder"] == pytest.approx(0.1)
    assert schedule(optimizer, config(), 0, 10)["lr_head"] == pytest.approx(0.2)
    assert schedule(optimizer, config(), 9, 10)["lr_encoder"] == 0.0
    assert {group["lr"] for group in optimizer.param_groups} == {0.0}


def test_weight_decay_may_rise(student):
    rising = config(weight_decay=0.04, weight_decay_end=0.5)
    optimizer = make_optimizer(student, rising)
    assert schedule(optimizer, rising, 0, 10)["weight_decay"] == pytest.approx(0.04)
    assert schedule(optimizer, rising, 9, 10)["weight_decay"] == pytest.approx(0.5)


def test_equal_rates_for_encoder_and_head_are_reported_as_such(student):
    same = config(lr_encoder=0.1, lr_head=0.1)
    rates = schedule(make_optimizer(student, same), same, 3, 10)
    assert rates["lr_encoder"] == rates["lr_head"] > 0


def test_a_step_is_skipped_when_found_inf_is_set(student):
    # The trainer relies on this to leave parameters sound when a gradient is not finite.
    optimizer = make_optimizer(student, config())
    before = [p.detach().clone() for p in all_parameters(optimizer)]
    for p in all_parameters(optimizer):
        p.grad = torch.full_like(p, float("nan"))
    optimizer.grad_scale, optimizer.found_inf = None, torch.tensor(1.0)
    optimizer.step()
    after = list(all_parameters(optimizer))
    assert all(torch.equal(b, a) for b, a in zip(before, after, strict=True))
