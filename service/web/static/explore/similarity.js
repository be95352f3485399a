// How alike patches are: to one of them, and over all between two encoders.
import { nearest } from "./align.js";

/** Tokens (n x d) scaled to length one each; a token of zeros stays. */
export function normalise(data, n, d) {
  const result = new Float32Array(data.length);
  for (let i = 0; i < n; i++) {
    let square = 0;
    for (let j = i * d; j < (i + 1) * d; j++) square += data[j] * data[j];
    const scale = square > 0 ? 1 / Math.sqrt(square) : 0;
    for (let j = i * d; j < (i + 1) * d; j++) result[j] = data[j] * scale;
  }
  return result;
}

/** Cosine similarity of each of n tokens of length one with `token`, one of length one. */
export function similarityTo(token, unit, n, d) {
  const result = new Float32Array(n);
  for (let i = 0, at = 0; i < n; i++) {
    let sum = 0;
    for (let j = 0; j < d; j++, at++) sum += unit[at] * token[j];
    result[i] = sum;
  }
  return result;
}

/** Indices of the `count` largest values but `except`, largest first. */
export function largest(values, count, except = -1) {
  return [...values.keys()].filter((i) => i !== except).sort((a, b) => values[b] - values[a]).slice(0, count);
}

/**
 * What a map of similarities says in numbers: its `mean`, its `contrast` (95th percentile minus
 * median: how far what is alike stands out), and the `share` of patches above `threshold`.
 */
export function statistics(values, threshold) {
  const sorted = Float32Array.from(values).sort();
  const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
  return {
    mean: sorted.reduce((sum, x) => sum + x, 0) / sorted.length,
    contrast: at(0.95) - at(0.5),
    share: sorted.filter((x) => x > threshold).length / sorted.length,
    least: sorted[0],
    most: sorted[sorted.length - 1],
  };
}

export const CKA_SIDE = 16;

/**
 * Linear CKA of two encoders' patch tokens on one picture: 1 if their patches are related alike.
 *
 * Args: two {data, grid: [h, w], dim}. On as many places as the coarser grid has, at most 16 x 16,
 * evenly spread: all pairs of more would take seconds.
 */
export function cka(a, b) {
  const sides = [0, 1].map((axis) => Math.min(a.grid[axis], b.grid[axis], CKA_SIDE));
  const [x, y] = [a, b].map((one) => centredGram(one, sides));
  const inner = (p, q) => p.reduce((sum, value, i) => sum + value * q[i], 0);
  const norm = Math.sqrt(inner(x, x) * inner(y, y));
  return norm > 0 ? inner(x, y) / norm : NaN;
}

function centredGram({ data, grid, dim }, [rows, columns]) {
  const n = rows * columns;
  const starts = Array.from({ length: n }, (_, i) =>
    nearest(Math.floor(i / columns), i % columns, [rows, columns], grid) * dim);
  const gram = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k <= i; k++) {
      let sum = 0;
      for (let j = 0, p = starts[i], q = starts[k]; j < dim; j++, p++, q++) sum += data[p] * data[q];
      gram[i * n + k] = gram[k * n + i] = sum;
    }
  }
  const means = Float64Array.from({ length: n }, (_, i) => gram.subarray(i * n, (i + 1) * n).reduce((s, v) => s + v, 0) / n);
  const mean = means.reduce((s, v) => s + v, 0) / n;
  return gram.map((value, at) => value - means[Math.floor(at / n)] - means[at % n] + mean);
}
