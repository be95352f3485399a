import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from paka.evaluation.neighbours import nearest, unit_vectors

MEMORY = torch.from_numpy(np.random.default_rng(0).standard_normal((50, 8), np.float32))
QUERIES = torch.from_numpy(np.random.default_rng(1).standard_normal((23, 8), np.float32))


@pytest.mark.parametrize("scores", [2**20, 120, 1])
def test_the_nearest_are_found_in_falling_order(scores):
    similarities, rows = nearest(MEMORY, scores)(QUERIES, 5)
    products = QUERIES.numpy().astype(np.float64) @ MEMORY.numpy().T
    expected = np.argsort(-products, axis=1)[:, :5]
    assert rows.tolist() == expected.tolist()
    assert np.allclose(similarities, np.take_along_axis(products, expected, 1), atol=1e-5)


def test_a_small_memory_comes_back_whole():
    similarities, rows = nearest(MEMORY[:3])(QUERIES, 30)
    assert similarities.shape == rows.shape == (23, 3)
    assert sorted(rows[0].tolist()) == [0, 1, 2]


def test_an_empty_memory_is_refused():
    with pytest.raises(ValueError, match="no training patch has a label"):
        nearest(MEMORY[:0])


def test_vectors_get_length_one_and_lose_their_shape():
    features = np.array([[[[3, 4], [0, 0]]]], np.float16)
    features.setflags(write=False)
    vectors = unit_vectors(features, torch.device("cpu"))
    assert vectors.numpy() == pytest.approx(np.array([[0.6, 0.8], [0, 0]], np.float32))


def test_faiss_obeys_omp_num_threads_in_one_process_with_torch():
    code = """
import faiss, numpy, torch  # other tests load torch first
vectors = numpy.eye(64, dtype=numpy.float32)
index = faiss.IndexFlatIP(64)
index.add(vectors)
assert torch.from_numpy(vectors).matmul(torch.ones(64, 64)).sum() == 64 * 64
assert index.search(vectors, 1)[1][:, 0].tolist() == [*range(64)]
print(faiss.omp_get_max_threads())
"""
    environment = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**environment, "OMP_NUM_THREADS": "3"},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("3\n", "")
