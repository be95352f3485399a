"""The loop itself, on real photographs with a small encoder."""

from itertools import accumulate

import pytest
import torch
from safetensors.torch import load_file

from paka.encoder import DenseEncoder
from paka.errors import TrainingError
from paka.run_folder import RunFolder
from paka.views.photometric import augment
from tests.paka.conftest import GENTLE, same, stop_at, with_loss


def test_a_run_writes_metrics_checkpoints_and_a_result(trainer, tmp_path):
    outcome = trainer(tmp_path).run()
    run = RunFolder(tmp_path)
    assert outcome == ("finished", 12, None)
    rows = run.read_metrics()
    assert [row["step"] for row in rows] == list(range(1, 13))
    assert all(0 < row["loss"] < 2 and row["total_steps"] == 12 for row in rows)
    assert all(row["step_seconds"] > 0 and row["peak_memory_bytes"] > 2**26 for row in rows)
    spent = list(accumulate(row["step_seconds"] for row in rows))
    for row, seconds in zip(rows[:-1], spent, strict=False):  # not by the last steps' pace alone
        assert row["eta_seconds"] * row["step"] / (12 - row["step"]) >= 0.999 * seconds
    assert rows[-1]["eta_seconds"] == 0
    assert sorted(p.name for p in run.checkpoints.iterdir()) == ["step-00000005", "step-00000010"]
    assert sorted(p.name for p in run.final.iterdir()) == ["encoder.safetensors", "meta.json"]


def test_without_photometric_changes_both_sides_see_plainly_normalised_crops(trainer, tmp_path):
    plain = {"jitter": 0, "grey": 0, "blur": 0}
    seen = trainer(tmp_path, views=plain, optim={"max_steps": 1})
    batches, inputs = [], {}

    def watched(loss_of, batch):
        batches.append(batch)
        for name in ("student", "teacher"):
            vit = getattr(seen.learner, name).encoder.vit
            vit.patch_embed.register_forward_pre_hook(
                lambda _, images, name=name: inputs.setdefault(name, images[0].detach())
            )
        return loss_of(batch)

    with_loss(seen, watched).run()
    [batch] = batches
    normalise = seen.learner.student.encoder.normalise
    expected = normalise(batch.local_images.flatten(0, 1))
    assert torch.allclose(inputs["student"], expected, atol=1e-4)
    assert torch.equal(inputs["teacher"], normalise(batch.global_images.flatten(0, 1)))


def test_teacher_crops_are_disturbed_only_where_that_is_asked_for(trainer, tmp_path):
    seen = {}
    for asked in (False, True):
        done = trainer(
            tmp_path / str(asked),
            views={"teacher_photometric": asked},
            optim={"max_steps": 1},
            runtime={"workers": 1},
        )

        def watched(loss_of, batch, asked=asked, done=done):
            patch_embed = done.learner.teacher.encoder.vit.patch_embed
            patch_embed.register_forward_pre_hook(lambda _, x: seen.update({asked: x[0]}))
            seen["batch"] = batch
            return loss_of(batch)

        with_loss(done, watched).run()
    batch, encoder = seen["batch"], done.learner.teacher.encoder
    plain = encoder.normalise(batch.global_images.flatten(0, 1))
    assert torch.equal(seen[False], plain)
    parameters = batch.teacher_photometric.flatten(0, 1)
    images = augment(batch.global_images.flatten(0, 1) / 255, parameters)
    assert torch.equal(seen[True], encoder.standardise(images))
    assert (seen[True] - plain).abs().mean() > 0.01


PROBES = {"effective_rank", "cka_to_base", "view_agreement", "neighbour_consistency"}


@pytest.mark.parametrize("export", ["teacher", "student"])
def test_features_are_probed_at_the_start_at_checkpoints_and_at_the_end(trainer, tmp_path, export):
    trainer(tmp_path, runtime={"probe_images": 3, "log_every": 3, "export": export}).run()
    rows = RunFolder(tmp_path).read_metrics()
    probed = {r["step"]: {k for k in r if k.startswith("probe_")} for r in rows}
    every = {f"probe_{name}" for name in PROBES}
    assert {step for step, keys in probed.items() if keys} == {0, 5, 10, 12}
    assert all(keys in (every, set()) for keys in probed.values())
    assert [row["step"] for row in rows] == [0, 1, 3, 5, 6, 9, 10, 12]
    assert all("loss" in row for row in rows[1:])
    cka = [row["probe_cka_to_base"] for row in rows if "probe_cka_to_base" in row]
    assert cka[0] == pytest.approx(1, abs=1e-9)
    assert 0 < cka[-1] < cka[1] < 0.9999


def test_probing_changes_nothing_and_goes_on_after_a_resume(trainer, tmp_path):
    trainer(tmp_path / "plain", runtime={"export": "student"}).run()
    probing = {"probe_images": 3, "export": "student"}
    trainer(tmp_path / "whole", runtime=probing).run()
    interrupted = trainer(tmp_path / "parts", runtime=probing)
    stop_at(interrupted, 7)
    interrupted.run()
    trainer(tmp_path / "parts", runtime=probing).run()
    assert same(tmp_path / "plain/final", tmp_path / "whole/final")
    assert same(tmp_path / "whole/final", tmp_path / "parts/final")
    probes = [
        [{k: v for k, v in row.items() if k == "step" or k.startswith("probe_")} for row in rows]
        for rows in (RunFolder(tmp_path / name).read_metrics() for name in ("whole", "parts"))
    ]
    assert probes[0] == probes[1]


def test_the_loss_falls(trainer, tmp_path):
    trainer(tmp_path, optim={"max_steps": 60}).run()
    losses = [row["loss"] for row in RunFolder(tmp_path).read_metrics()]
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


@pytest.mark.parametrize(
    "loss", [{"objective": "cosine"}, {"objective": "gram"}, {"pairing": "all"}]
)
def test_the_loss_of_the_controls_falls(trainer, tmp_path, loss):
    trainer(tmp_path, loss=loss, optim={"max_steps": 60}).run()
    losses = [row["loss"] for row in RunFolder(tmp_path).read_metrics()]
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])


def test_it_learns_on_street_photographs(trainer, camvid, tmp_path):
    trainer(tmp_path, dataset=str(camvid / "images" / "val"), optim={"max_steps": 60}).run()
    losses = [row["loss"] for row in RunFolder(tmp_path).read_metrics()]
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])


def test_the_result_is_the_teacher_unless_the_student_is_asked_for(trainer, tmp_path):
    teacher, student = (
        trainer(tmp_path / "t"),
        trainer(tmp_path / "s", runtime={"export": "student"}),
    )
    teacher.run()
    student.run()
    assert not same(tmp_path / "t/final", tmp_path / "s/final")
    shipped = load_file(tmp_path / "s/final/encoder.safetensors")
    expected = teacher.learner.student.encoder.vit.state_dict()
    assert all(torch.equal(shipped[name], expected[name]) for name in expected)


def test_the_result_loads_as_an_encoder(trainer, tmp_path):
    done = trainer(tmp_path)
    done.run()
    loaded = DenseEncoder("test_vit", str(tmp_path / "final/encoder.safetensors"))
    images = torch.rand(1, 3, 64, 64)
    expected = done.learner.teacher.encoder(images).patch_tokens
    assert torch.equal(loaded.eval()(images).patch_tokens, expected)


def test_the_same_seed_gives_the_same_bits_whatever_the_number_of_workers(trainer, tmp_path):
    trainer(tmp_path / "a").run()
    trainer(tmp_path / "b", runtime={"workers": 2}).run()
    trainer(tmp_path / "c", runtime={"seed": 1}).run()
    assert same(tmp_path / "a/final", tmp_path / "b/final")
    assert not same(tmp_path / "a/final", tmp_path / "c/final")


def test_accumulation_changes_memory_but_not_the_result(trainer, tmp_path):
    whole, parts = (
        trainer(tmp_path / name, optim={**GENTLE, "accumulate": parts})
        for name, parts in (("a", 1), ("b", 2))
    )
    whole.run()
    parts.run()
    for one, other in zip(
        whole.learner.student.parameters(), parts.learner.student.parameters(), strict=True
    ):
        assert torch.allclose(one, other, atol=2e-4)
    losses = [[r["loss"] for r in RunFolder(tmp_path / x).read_metrics()] for x in "ab"]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


def test_teacher_follows_by_its_momentum(trainer, tmp_path):
    done = trainer(tmp_path, teacher={"momentum": 0.0, "momentum_end": 0.0})
    done.run()
    pairs = zip(
        done.learner.teacher.head.parameters(), done.learner.student.head.parameters(), strict=True
    )
    assert all(torch.equal(t, s) for t, s in pairs)


def test_clipping_bounds_the_update(trainer, tmp_path):
    free = trainer(tmp_path / "a", optim={"max_steps": 1})
    clipped = trainer(tmp_path / "b", optim={"max_steps": 1, "clip_norm": 1e-3})
    free.run()
    clipped.run()
    norms = [
        torch.nn.utils.get_total_norm(
            [p.grad for p in t.learner.student.parameters() if p.grad is not None]
        )
        for t in (free, clipped)
    ]
    assert norms[0] > 1e-3
    assert norms[1] == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_starts_where_full_precision_does_and_learns(trainer, tmp_path, precision):
    trainer(tmp_path / "a", optim={"max_steps": 2}).run()
    trainer(tmp_path / "b", optim={"max_steps": 60}, runtime={"precision": precision}).run()
    full, low = ([r["loss"] for r in RunFolder(tmp_path / x).read_metrics()] for x in "ab")
    assert low[0] == pytest.approx(full[0], abs=0.05)
    assert sum(low[-10:]) < 0.9 * sum(low[:10])


def test_compiling_does_not_change_the_course(trainer, tmp_path, monkeypatch):
    # Inductor's code generation takes half a minute; what comes before it is the same.
    compiled, compile_ = [], torch.compile

    def quick(function, **options):
        compiled.append(function)
        return compile_(function, backend="aot_eager", **options)

    monkeypatch.setattr(torch, "compile", quick)
    for name, compiling in (("a", False), ("b", True)):
        runtime = {"compile": compiling, "probe_images": 2}
        trainer(tmp_path / name, optim={"max_steps": 4}, runtime=runtime).run()
    losses = [[r["loss"] for r in RunFolder(tmp_path / x).read_metrics()[1:]] for x in "ab"]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)
    assert len(compiled) == 3  # both encoders, and the student's changes of colour


def test_checkpoints_can_be_asked_for_by_time(trainer, tmp_path):
    every = {"checkpoint_every_steps": None, "checkpoint_every_minutes": 1e-6}
    trainer(tmp_path, optim={"max_steps": 5}, runtime={**every, "keep_checkpoints": 9}).run()
    names = sorted(p.name for p in RunFolder(tmp_path).checkpoints.iterdir())
    assert names == [f"step-0000000{step}" for step in (1, 2, 3, 4)]


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_that_is_not_there_is_told(trainer, tmp_path):
    with pytest.raises(TrainingError, match="0 can be seen"):
        trainer(tmp_path, runtime={"device": "cuda"})
