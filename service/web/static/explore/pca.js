// The first principal components of patch tokens, by Lanczos' method: the covariance is never made.
import { eigen } from "./eigen.js";

export const COMPONENTS = 3;
const MAX_STEPS = 60;
const CHECK_EVERY = 6;
const TOLERANCE = 1e-5; // of a component's residual, as a share of the largest variance

/**
 * Principal components of n tokens of dimension d.
 *
 * Args: data, Float32Array of n x d, rows first.
 * Returns {scores, share, axes}: scores Float32Array (n, 3), each column with its skewness positive,
 * so that the same picture always gets the same signs; share of the variance, per component; axes,
 * three unit vectors. Components that the data does not have are zero.
 */
export function pca(data, n, d) {
  const centred = centre(data, n, d);
  const total = dot(centred, centred);
  const scores = new Float32Array(n * COMPONENTS);
  const axes = total > 1e-12 * n * d ? leadingAxes(centred, n, d) : [];
  const share = axes.map((axis, c) => {
    const column = times(centred, axis, n, d);
    const skew = column.reduce((sum, x) => sum + x ** 3, 0);
    if (skew < 0) for (const vector of [axis, column]) vector.forEach((x, i) => (vector[i] = -x));
    column.forEach((x, i) => (scores[i * COMPONENTS + c] = x));
    return dot(column, column) / total;
  });
  return { scores, share, axes };
}

function centre(data, n, d) {
  const mean = new Float64Array(d);
  for (let i = 0; i < n; i++) for (let j = 0; j < d; j++) mean[j] += data[i * d + j];
  const centred = new Float32Array(n * d);
  for (let i = 0; i < n; i++) for (let j = 0; j < d; j++) centred[i * d + j] = data[i * d + j] - mean[j] / n;
  return centred;
}

/** At most three unit vectors, that of the largest variance first. */
function leadingAxes(x, n, d) {
  const basis = [];
  const alpha = [];
  const beta = [];
  let next = startVector(d);
  while (next && basis.length < Math.min(MAX_STEPS, d)) {
    basis.push(next);
    const image = transposedTimes(x, times(x, next, n, d), n, d);
    alpha.push(dot(image, next));
    // Twice is enough: once leaves rounding errors that let old directions come back.
    for (const _ of [1, 2]) for (const old of basis) addTo(image, old, -dot(image, old));
    const norm = Math.sqrt(dot(image, image));
    next = norm > 1e-9 * Math.abs(alpha[0]) ? image.map((value) => value / norm) : null;
    if (!next || basis.length % CHECK_EVERY === 0) {
      const found = eigen(tridiagonal(alpha, beta));
      const residual = Math.max(...found.vectors.slice(0, COMPONENTS).map((y) => Math.abs(norm * y[y.length - 1])));
      if (!next || (basis.length > COMPONENTS && residual < TOLERANCE * found.values[0])) break;
    }
    beta.push(norm);
  }
  const { values, vectors } = eigen(tridiagonal(alpha, beta));
  const kept = vectors.filter((_, i) => i < COMPONENTS && values[i] > 1e-9 * values[0]);
  return kept.map((y) => combine(basis, y));
}

/** The same for every picture, and orthogonal to nothing that matters. */
function startVector(d) {
  let seed = 1;
  const vector = Float64Array.from({ length: d }, () => {
    seed = (seed * 16807) % 2147483647;
    return seed / 2147483647 - 0.5;
  });
  const norm = Math.sqrt(dot(vector, vector));
  return vector.map((value) => value / norm);
}

function tridiagonal(alpha, beta) {
  return alpha.map((value, i) =>
    alpha.map((_, j) => (i === j ? value : Math.abs(i - j) === 1 ? beta[Math.min(i, j)] : 0)));
}

function combine(basis, weights) {
  const sum = new Float64Array(basis[0].length);
  weights.forEach((weight, i) => addTo(sum, basis[i], weight));
  return sum;
}

function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

function addTo(a, b, factor) {
  for (let i = 0; i < a.length; i++) a[i] += factor * b[i];
}

function times(x, vector, n, d) {
  const result = new Float64Array(n);
  for (let i = 0, at = 0; i < n; i++) {
    let sum = 0;
    for (let j = 0; j < d; j++, at++) sum += x[at] * vector[j];
    result[i] = sum;
  }
  return result;
}

function transposedTimes(x, vector, n, d) {
  const result = new Float64Array(d);
  for (let i = 0, at = 0; i < n; i++) {
    const weight = vector[i];
    for (let j = 0; j < d; j++, at++) result[j] += weight * x[at];
  }
  return result;
}
