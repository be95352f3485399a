import subprocess
import sys
from itertools import permutations

import numpy as np
import pytest
import torch

import paka.evaluation.in_context as module
from paka.evaluation import in_context_miou, in_context_predictions
from paka.evaluation.in_context import build_memory


def split(scene):
    features, masks = scene
    return features[:12], masks[:12], features[12:], masks[12:]


def slow_predictions(train_features, train_masks, val_features, size, *, k, temperature, leave_out):
    """The protocol written from its description, one patch and one pixel at a time, 5 classes."""
    h, w = train_features.shape[1:3]
    ph, pw = train_masks.shape[1] // h, train_masks.shape[2] // w
    keys, labels = [], []
    for features, mask in zip(train_features.astype(np.float64), train_masks, strict=True):
        for y in range(h):
            for x in range(w):
                pixels = mask[y * ph : (y + 1) * ph, x * pw : (x + 1) * pw].ravel().tolist()
                pixels = [p for p in pixels if p != 255 or not leave_out]
                if pixels:
                    names = [0 if p == 255 else p for p in pixels]
                    labels.append(np.array([names.count(c) / len(names) for c in range(5)]))
                    keys.append(features[y, x] / np.linalg.norm(features[y, x]))
    predictions = np.empty((len(val_features), *size), int)
    for image, features in enumerate(val_features.astype(np.float64)):
        soft = np.empty((h, w, 5))
        for y in range(h):
            for x in range(w):
                cosines = np.array(keys) @ features[y, x] / np.linalg.norm(features[y, x])
                best = np.argsort(-cosines)[:k]
                weights = np.exp(cosines[best] / temperature)
                soft[y, x] = sum(
                    weight * labels[i] for weight, i in zip(weights, best, strict=True)
                ) / sum(weights)
        for y in range(size[0]):
            for x in range(size[1]):
                predictions[image, y, x] = np.argmax(bilinear(soft, y, x, size))
    return predictions


def bilinear(grid, y, x, size):
    """The value at a pixel's centre between the centres of the grid's cells."""
    h, w = grid.shape[:2]
    v = min(max((y + 0.5) * h / size[0] - 0.5, 0), h - 1)
    u = min(max((x + 0.5) * w / size[1] - 0.5, 0), w - 1)
    top, left = min(int(v), h - 2), min(int(u), w - 2)
    v, u = v - top, u - left
    upper = (1 - u) * grid[top, left] + u * grid[top, left + 1]
    lower = (1 - u) * grid[top + 1, left] + u * grid[top + 1, left + 1]
    return (1 - v) * upper + v * lower


def slow_miou(predicted, truth):
    """Mean IoU over 5 classes under the renaming of predictions that is best."""
    known = truth != 255

    def mean_iou(names):
        renamed = np.array(names)[predicted]
        each = []
        for c in range(5):
            mine, true = (renamed == c) & known, truth == c
            each.append((mine & true).sum() / max((mine | true).sum(), 1))
        return np.mean(each)

    return max(mean_iou(names) for names in permutations(range(5)))


@pytest.mark.parametrize("case", ["easy", "noisy", "few_neighbours", "no_ignore"])
def test_scores_are_those_of_the_public_implementation(hummingbird, case):
    arrays = ("train_features", "train_masks", "val_features", "val_masks")
    found = in_context_miou(
        *(hummingbird[f"{case}/{name}"] for name in arrays),
        num_classes=int(hummingbird[f"{case}/num_classes"]),
        k=int(hummingbird[f"{case}/k"]),
        temperature=float(hummingbird[f"{case}/temperature"]),
    )
    assert found == pytest.approx(float(hummingbird[f"{case}/miou"]), abs=0.001)


@pytest.mark.parametrize("ignored", ["background", "leave_out"])
@pytest.mark.parametrize(("k", "temperature"), [(5, 0.02), (30, 0.1)])
def test_predictions_are_those_of_the_description(scene, ignored, k, temperature):
    train_features, train_masks, val_features, _ = split(scene)
    train_masks = train_masks.copy()
    train_masks[0, :8] = 255  # whole patches without a label
    found = in_context_predictions(
        train_features,
        train_masks,
        val_features,
        num_classes=5,
        out_size=(20, 18),
        k=k,
        temperature=temperature,
        ignored=ignored,
    )
    expected = slow_predictions(
        train_features,
        train_masks,
        val_features,
        (20, 18),
        k=k,
        temperature=temperature,
        leave_out=ignored == "leave_out",
    )
    assert found.dtype == np.uint8
    assert (found == expected).mean() > 0.999  # rounding may decide a tie the other way


def test_the_score_is_that_of_the_description(scene):
    train_features, train_masks, val_features, val_masks = split(scene)
    expected = slow_predictions(
        train_features, train_masks, val_features, (16, 24), k=30, temperature=0.02, leave_out=False
    )
    found = in_context_miou(*split(scene), num_classes=5)
    assert found == pytest.approx(slow_miou(expected, val_masks), abs=1e-3)
    assert 0.4 < found < 0.95


def test_half_precision_and_arrays_on_the_disk_do(scene, tmp_path):
    features, masks = scene
    np.save(tmp_path / "features.npy", features.astype(np.float16))
    stored = np.load(tmp_path / "features.npy", mmap_mode="r")
    found = in_context_miou(stored[:12], masks[:12], stored[12:], masks[12:], num_classes=5)
    assert found == pytest.approx(in_context_miou(*split(scene), num_classes=5), abs=0.02)


def test_working_in_parts_changes_nothing(scene, monkeypatch):
    def predictions(**bounded):
        train_features, train_masks, val_features, _ = split(scene)
        return in_context_predictions(
            train_features, train_masks, val_features, num_classes=5, out_size=(16, 24), **bounded
        )

    whole, bounded = predictions(), predictions(memory=100)
    monkeypatch.setattr(module, "VALUES", 5000)
    assert len(list(module.chunks(6, 5 * 24 * 30))) > 1
    assert (predictions() == whole).all()
    assert (predictions(memory=100) == bounded).all()


def test_progress_ends_at_the_last_image(scene, monkeypatch):
    monkeypatch.setattr(module, "VALUES", 4 * 5 * 24 * 30)
    train_features, train_masks, val_features, _ = split(scene)
    seen = []
    in_context_predictions(
        train_features,
        train_masks,
        val_features,
        num_classes=5,
        out_size=(16, 24),
        progress=lambda *counts: seen.append(counts),
    )
    assert seen == [(4, 6), (6, 6)]


def test_the_memory_holds_unit_vectors_and_shares(scene):
    features, masks = scene
    memory = build_memory(features, masks, 5)
    assert memory.features.shape == (18 * 24, 8)
    assert torch.allclose(memory.features.norm(dim=1), torch.ones(18 * 24))
    assert torch.allclose(memory.labels.sum(1), torch.ones(18 * 24))


@pytest.mark.parametrize("limit", [7, 18, 100, 5000])
def test_a_bounded_memory_takes_equally_many_patches_of_each_image(scene, limit):
    features, masks = scene
    marked = np.zeros((*features.shape[:3], 18), np.float32)
    marked[np.arange(18), ..., np.arange(18)] = 1  # which image a patch is of
    memory = build_memory(marked, masks, 5, limit=limit)
    per_image = memory.features.sum(0)
    assert len(memory.labels) == min(limit, 18 * 24)
    assert per_image.max() - per_image.min() <= 1


def test_a_bounded_memory_prefers_patches_with_rare_classes():
    masks = np.zeros((400, 8, 8), np.uint8)
    masks[:, :4, :4] = 1  # one patch of 1 among three of 0
    features = np.zeros((400, 2, 2, 3), np.float32)
    labels = build_memory(features, masks, 2, limit=400).labels
    # u < the least of three times 3 u': the integral of (1 - u / 3)^3 over u in 0 … 1.
    assert labels[:, 1].mean().item() == pytest.approx(3 / 4 * (1 - (2 / 3) ** 4), abs=0.06)


def test_the_seed_draws_the_bounded_memory(scene):
    features, masks = scene

    def draw(seed):
        return build_memory(features, masks, 5, limit=90, seed=seed).features

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


def test_patches_without_a_label_stay_out_of_a_strict_memory(scene):
    features, masks = scene
    masks = masks.copy()
    masks[:, :, 4:] = 255  # but one column of six
    assert len(build_memory(features, masks, 5, ignored="leave_out").labels) == 18 * 4
    bounded = build_memory(features, masks, 5, limit=180, ignored="leave_out")
    assert len(bounded.labels) == 18 * 4
    assert len(build_memory(features, masks, 5).labels) == 18 * 24


def test_a_memory_without_a_label_is_refused(scene):
    features, masks = scene
    nothing = np.full_like(masks, 255)
    with pytest.raises(ValueError, match="no training patch has a label"):
        in_context_miou(features, nothing, features, masks, num_classes=5, ignored="leave_out")


def test_masks_of_other_images_are_refused(scene):
    features, masks = scene
    with pytest.raises(ValueError, match="of the same images"):
        in_context_miou(features, masks, features, masks[1:], num_classes=5)


def test_the_package_loads_torch_only_when_a_protocol_is_asked_for():
    code = "import sys, paka.evaluation; assert not {'torch', 'faiss'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'in_contxt_miou'"):
        _ = sys.modules["paka.evaluation"].in_contxt_miou
