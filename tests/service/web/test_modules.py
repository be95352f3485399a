"""What modules compute, in the browser that will do it: the explorer's, against NumPy."""

import json

import numpy as np
import pytest
from safetensors.numpy import save

SAFETENSORS, EXPLORE = "/web/explore/safetensors.js", "/web/explore"

RUN = """async ([path, name, ...given]) => {
  const plain = (value) => ArrayBuffer.isView(value) ? Array.from(value)
    : Array.isArray(value) ? value.map(plain)
    : value && typeof value === "object"
    ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)])) : value;
  const typed = (value) => !value?.type ? value
    : value.type === "buffer" ? Uint8Array.from(value.data).buffer
    : new globalThis[value.type](value.data);
  try { return plain((await import(path))[name](...given.map(typed))); }
  catch (error) { return {thrown: error.message}; }
}"""


@pytest.fixture
def run(open_page):
    """Calls a function of a module in the browser; arrays are sent as they are."""
    page = open_page()

    def send(value):
        if isinstance(value, bytes):
            return {"type": "buffer", "data": list(value)}
        if isinstance(value, np.ndarray):
            kinds = {"float32": "Float32Array", "uint16": "Uint16Array"}
            return {"type": kinds[str(value.dtype)], "data": value.ravel().tolist()}
        return value

    return lambda path, name, *given: page.evaluate(RUN, [path, name, *map(send, given)])


def tokens(n, dim, seed=0):
    """Tokens with a spectrum as that of real ones: a few directions hold most of it."""
    rng = np.random.default_rng(seed)
    scales = 1 / (1 + np.arange(min(n, dim)))
    made = (rng.normal(size=(n, len(scales))) * scales) @ rng.normal(size=(len(scales), dim))
    return (made + rng.normal(size=dim)).astype(np.float32)


def test_every_float16_is_decoded_as_numpy_decodes_it(run):
    bits = np.arange(65536, dtype=np.uint16)
    found = np.array(
        [np.nan if x is None else x for x in run(SAFETENSORS, "halfToFloat", bits)], np.float32
    )
    np.testing.assert_array_equal(found, bits.view(np.float16).astype(np.float32))


def test_safetensors_are_read_as_they_were_written(run):
    made = {
        "patch_tokens": tokens(6, 4).reshape(1, 2, 3, 4).astype(np.float16),
        "boxes": np.array([[0.5, 1, 2, 3]], np.float32),
        "original_sizes": np.array([[640, 480]], np.int32),
    }
    found = run(SAFETENSORS, "parse", save(made, {"paka": "{}"}))
    assert found["metadata"] == {"paka": "{}"}
    for name, tensor in made.items():
        assert found["tensors"][name]["shape"] == list(tensor.shape)
        np.testing.assert_array_equal(found["tensors"][name]["data"], tensor.ravel())


def test_what_is_no_safetensors_is_refused(run):
    whole = save({"x": np.zeros(8, np.float32)})
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    header["x"]["data_offsets"] = [0, 64]
    longer = json.dumps(header).encode()
    for bad in (
        b"",
        b"GIF89a",
        whole[:-1],
        (2**60).to_bytes(8, "little") + whole[8:],
        (length).to_bytes(8, "little") + b"x" * length,
        len(longer).to_bytes(8, "little") + longer + b"0" * 64,
        save({"x": np.zeros(8, np.float64)}),
    ):
        assert "safetensors" in run(SAFETENSORS, "parse", bad)["thrown"], bad


def test_what_is_written_is_rounded_before_its_unit_is_chosen(run):
    days = 86_400
    durations = {
        **{-30: "0 s", 59.4: "59 s", 59.6: "1 min", 3599: "1 h 0 min", 3725: "1 h 2 min"},
        **{2 * days + 30: "2 d 0 h", 3 * days - 60: "3 d 0 h"},
    }
    for seconds, words in durations.items():
        assert run("/web/dom.js", "duration", seconds) == words
    sizes = {0: "0 B", 999: "999 B", 1536: "1.5 kB", 9960: "10 kB", 999_600: "1.0 MB"}
    for count, words in {**sizes, 5e15: "5000 TB"}.items():
        assert run("/web/dom.js", "bytes", count) == words


@pytest.mark.parametrize("n, dim", [(196, 64), (49, 384), (6, 2)])
def test_components_are_those_of_a_singular_value_decomposition(run, n, dim):
    data = tokens(n, dim)
    found = run(f"{EXPLORE}/pca.js", "pca", data, n, dim)
    _, values, axes = np.linalg.svd(data - data.mean(0), full_matrices=False)
    kept = min(3, dim)
    np.testing.assert_allclose(
        found["share"], (values**2 / (values**2).sum())[:kept], rtol=1e-3, atol=1e-6
    )
    cosines = np.abs(np.array(found["axes"]) @ axes[:kept].T)
    np.testing.assert_allclose(cosines, np.eye(kept), atol=1e-3)
    scores = np.array(found["scores"]).reshape(n, 3)[:, :kept]
    np.testing.assert_allclose(
        np.abs(scores), np.abs((data - data.mean(0)) @ axes[:kept].T), atol=2e-3 * values[0]
    )
    assert (np.sum(scores**3, 0) >= -1e-6).all()


def test_a_picture_of_one_colour_has_no_components(run):
    found = run(f"{EXPLORE}/pca.js", "pca", np.ones((9, 5), np.float32), 9, 5)
    assert found["axes"] == [] and not any(found["scores"])


def test_turned_colours_come_back(run):
    from scipy.linalg import orthogonal_procrustes

    rng = np.random.default_rng(1)
    reference = tokens(100, 3)
    reference = (reference - reference.mean(0)).astype(np.float32)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    noisy = reference @ turn + 0.1 * rng.normal(size=(100, 3))
    scores = noisy.astype(np.float32)
    found = np.array(run(f"{EXPLORE}/align.js", "align", scores, reference)).reshape(-1, 3)
    one, other = (x / np.linalg.norm(x, axis=0) for x in (scores, reference))
    rotation, _ = orthogonal_procrustes(one, other)
    np.testing.assert_allclose(found, one @ rotation, atol=1e-5)


def test_likeness_is_the_cosine_and_zeros_are_like_nothing(run):
    data = tokens(20, 8)
    data[3] = 0
    similarity = f"{EXPLORE}/similarity.js"
    unit = np.array(run(similarity, "normalise", data, 20, 8), np.float32).reshape(20, 8)
    found = np.array(run(similarity, "similarityTo", unit[5], unit, 20, 8), np.float32)
    norms = np.linalg.norm(data, axis=1) * np.linalg.norm(data[5])
    expected = np.divide(data @ data[5], norms, out=np.zeros(20, np.float32), where=norms > 0)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    most = [i for i in np.argsort(-found) if i != 5][:3]
    assert run(similarity, "largest", found, 3, 5) == most
    about = run(similarity, "statistics", found, 0.25)
    assert about["mean"] == pytest.approx(found.mean(), abs=1e-5)
    assert about["share"] == pytest.approx((found > 0.25).mean())


def test_cka_compares_relations_on_the_coarser_grid(run):
    fine, coarse = tokens(36, 5).reshape(6, 6, 5), tokens(9, 7, seed=2).reshape(3, 3, 7)
    given = [
        {"data": x.ravel().tolist(), "grid": list(x.shape[:2]), "dim": x.shape[2]}
        for x in (fine, coarse)
    ]
    x, y = fine[1::2, 1::2].reshape(9, 5), coarse.reshape(9, 7)
    x, y = x - x.mean(0), y - y.mean(0)
    expected = np.linalg.norm(x.T @ y) ** 2
    expected /= np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    assert run(f"{EXPLORE}/similarity.js", "cka", *given) == pytest.approx(expected, rel=1e-4)
