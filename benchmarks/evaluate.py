"""How long the protocols of an evaluation take, each beside the plain way to compute the same.

    python -m benchmarks.evaluate [--repeats 3] [--images 200] [--json FILE]

Features that fall into clouds, one for each of 21 classes, with their masks: 16 x 16 patches of 384
numbers and 224 x 224 pixels for each image, half of the images to learn from and half to be judged.
Our function and the plain way are called in turn, on the same arrays:

- in-context: matrix product of every query with the whole memory, its 30 largest, softmax, and
  labels upsampled, image by image;
- linear: logits upsampled to the pixels, and cross-entropy over all of them, as the field's code
  does; as many passes, of Adam, over as many images at a time;
- overclustering: scikit-learn's KMeans, as many clusters and restarts, and at most as many passes;
- k-NN: scikit-learn's brute-force search by cosine, and the same weighted vote;
- search: FAISS's flat index, for the same 30 neighbours of the same patches.

Agreement is the share of pixels, images or neighbours that are the same in both ways; clusters,
which have no names, are compared by their adjusted mutual information.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import faiss
import numpy as np
import torch
from numpy.typing import NDArray
from rich.table import Table
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_mutual_info_score
from sklearn.neighbors import NearestNeighbors
from torch.nn.functional import cross_entropy, interpolate, normalize

from benchmarks.measure import Spread, in_turn, parser, show
from paka.evaluation.in_context import in_context_predictions
from paka.evaluation.knn import knn_scores
from paka.evaluation.linear import PATCHES, linear_predictions
from paka.evaluation.neighbours import nearest, unit_vectors
from paka.evaluation.overclustering import cluster_predictions

CLASSES, GRID, SIDE, DIMENSIONS = 21, 16, 224, 384
CLUSTERS, RESTARTS, PASSES, EPOCHS = 50, 3, 20, 5
Array = NDArray[Any]


class Data(NamedTuple):
    """Features (n, h, w, D) float16, masks (n, H, W), and one label for each image."""

    features: Array
    masks: Array
    labels: Array


class Pair(NamedTuple):
    """Our way and the plain one, and how much of their results is the same."""

    ours: Callable[[], Array]
    plain: Callable[[], Array]
    agreement: Callable[[Array, Array], float]


def draw(images: int, seed: int) -> Data:
    """Images of blocks, each block of one class, and features around their class's direction."""
    random, block = np.random.default_rng(seed), 4
    blocks = random.integers(0, CLASSES, (images, GRID // block, GRID // block))
    grid = blocks.repeat(block, 1).repeat(block, 2)
    directions = np.random.default_rng(0).normal(size=(CLASSES, DIMENSIONS))
    noise = random.normal(size=(*grid.shape, DIMENSIONS)) * 2
    features = (directions[grid] + noise).astype(np.float16)
    pixels = grid.repeat(SIDE // GRID, 1).repeat(SIDE // GRID, 2).astype(np.uint8)
    return Data(features, pixels, blocks[:, 0, 0])


def plain_in_context(train: Data, val: Data) -> Array:
    """Every query against the whole memory."""
    memory = normalize(torch.from_numpy(train.features.reshape(-1, DIMENSIONS)).float(), dim=1)
    shares = torch.from_numpy(_shares(train.masks)).flatten(0, 2)
    predicted = []
    for features in val.features:
        queries = normalize(torch.from_numpy(features).float().flatten(0, 1), dim=1)
        similar, rows = (queries @ memory.T).topk(30)
        soft = ((similar / 0.02).softmax(-1)[..., None] * shares[rows]).sum(1)
        maps = soft.reshape(1, GRID, GRID, CLASSES).permute(0, 3, 1, 2)
        predicted.append(interpolate(maps, (SIDE, SIDE), mode="bilinear")[0].argmax(0).numpy())
    return np.stack(predicted)


def _shares(masks: Array) -> Array:
    """Shares of the classes in each patch, (n, h, w, C)."""
    cells = masks.reshape(len(masks), GRID, SIDE // GRID, GRID, SIDE // GRID)
    return np.stack([(cells == c).mean((2, 4)) for c in range(CLASSES)], -1).astype(np.float32)


def plain_linear(train: Data, val: Data) -> Array:
    """One linear layer that learns from pixels."""
    features = torch.from_numpy(train.features).float()
    mean, deviation = features.mean((0, 1, 2)), features.std((0, 1, 2))
    masks, layer = torch.from_numpy(train.masks).long(), torch.nn.Linear(DIMENSIONS, CLASSES)
    at_once = max(PATCHES // GRID**2, 1)
    optimizer = torch.optim.AdamW(layer.parameters(), 1e-2, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, EPOCHS * -(-len(features) // at_once)
    )

    def logits(of: torch.Tensor) -> torch.Tensor:
        maps = layer((of.float() - mean) / deviation).permute(0, 3, 1, 2)
        return interpolate(maps, (SIDE, SIDE), mode="bilinear")

    for _ in range(EPOCHS):
        for batch in torch.randperm(len(features)).split(at_once):
            optimizer.zero_grad()
            torch.autograd.backward(cross_entropy(logits(features[batch]), masks[batch]))
            optimizer.step()
            schedule.step()
    with torch.inference_mode():
        parts = torch.from_numpy(val.features).split(at_once)
        return torch.cat([logits(part).argmax(1) for part in parts]).numpy()


def plain_clusters(val: Data) -> Array:
    """Clusters of unit vectors by scikit-learn."""
    rows = normalize(torch.from_numpy(val.features.reshape(-1, DIMENSIONS)).float(), dim=1)
    kmeans = KMeans(
        CLUSTERS, init="random", n_init=RESTARTS, max_iter=PASSES, tol=0, random_state=0
    )
    grid = kmeans.fit_predict(rows.numpy()).reshape(len(val.features), GRID, GRID)
    return np.asarray(grid.repeat(SIDE // GRID, 1).repeat(SIDE // GRID, 2))


def plain_search(memory: Array, queries: Array) -> Array:
    """Thirty neighbours by FAISS."""
    index = faiss.IndexFlatIP(memory.shape[1])
    index.add(memory)
    return np.asarray(index.search(queries, 30)[1])


def plain_knn(train: Array, labels: Array, val: Array, val_labels: Array) -> Array:
    """Twenty neighbours by scikit-learn, weighted by similarity."""
    found = NearestNeighbors(n_neighbors=20, metric="cosine", algorithm="brute").fit(train)
    distances, rows = found.kneighbors(val)
    votes = np.zeros((len(val), CLASSES))
    weights = np.exp((1 - distances) / 0.07)
    for column in range(rows.shape[1]):
        votes[np.arange(len(val)), labels[rows[:, column]]] += weights[:, column]
    return (votes.argmax(1) == val_labels).astype(float)


def pairs(images: int) -> dict[str, Pair]:
    """Both ways of every protocol, on the same data."""
    train, val = draw(images // 2, 1), draw(images - images // 2, 2)
    size = (SIDE, SIDE)
    many = np.random.default_rng(3).normal(size=(100 * images, DIMENSIONS)).astype(np.float32)
    names = np.random.default_rng(4).integers(0, CLASSES, len(many))
    half = len(many) // 2
    sets = (many[:half], names[:half], many[half:], names[half:])
    arrays = (train.features, train.masks, val.features)
    patches = [unit_vectors(data.features, torch.device("cpu")) for data in (train, val)]

    def same(one: Array, other: Array) -> float:
        return float((one == other).mean())

    def mutual(one: Array, other: Array) -> float:
        step = SIDE // GRID
        rows = (part[:, ::step, ::step].ravel() for part in (one, other))
        return float(adjusted_mutual_info_score(*rows))

    return {
        "in-context": Pair(
            lambda: in_context_predictions(*arrays, num_classes=CLASSES, out_size=size),
            lambda: plain_in_context(train, val),
            same,
        ),
        "linear": Pair(
            lambda: linear_predictions(*arrays, num_classes=CLASSES, out_size=size, epochs=EPOCHS),
            lambda: plain_linear(train, val),
            same,
        ),
        "overclustering": Pair(
            lambda: cluster_predictions(
                val.features,
                clusters=CLUSTERS,
                out_size=size,
                iterations=PASSES,
                restarts=RESTARTS,
            ),
            lambda: plain_clusters(val),
            mutual,
        ),
        "k-NN": Pair(lambda: knn_scores(*sets, k=20), lambda: plain_knn(*sets), same),
        "search": Pair(
            lambda: nearest(patches[0])(patches[1], 30)[1].numpy(),
            lambda: plain_search(*(each.numpy() for each in patches)),
            same,
        ),
    }


def main() -> None:
    """Measure and print."""
    options = parser(str(__doc__), repeats=3)
    options.add_argument("--images", type=int, default=200, help="images in all")
    given = options.parse_args()
    table = Table("protocol", "ours, s", "plainly, s", "faster", "agreement")
    rows = {}
    for name, pair in pairs(given.images).items():
        agreement = pair.agreement(pair.ours(), pair.plain())  # which warms both up
        seconds = in_turn({"ours": pair.ours, "plain": pair.plain}, given.repeats, warm_up=0)
        ours, plain = Spread.of(seconds["ours"]), Spread.of(seconds["plain"])
        rows[name] = {"ours": ours, "plain": plain, "agreement": agreement}
        faster = f"{plain.median / ours.median:.1f} x"
        table.add_row(name, str(ours), str(plain), faster, f"{agreement:.3f}")
    show([table], {"images": given.images, "protocols": rows}, given)


if __name__ == "__main__":
    main()
