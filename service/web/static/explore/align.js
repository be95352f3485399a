// One encoder's colours turned to another's, so that the same thing looks alike in both maps.
import { eigen } from "./eigen.js";
import { COMPONENTS } from "./pca.js";

/** Values (h x w x channels) at the places of another grid, by the nearest patch. */
export function resample(values, [h, w], [toH, toW], channels) {
  if (h === toH && w === toW) return values;
  const result = new Float32Array(toH * toW * channels);
  for (let row = 0; row < toH; row++) {
    for (let column = 0; column < toW; column++) {
      const from = nearest(row, column, [toH, toW], [h, w]) * channels;
      result.set(values.subarray(from, from + channels), (row * toW + column) * channels);
    }
  }
  return result;
}

/** The index of the patch of another grid that lies where this one does. */
export function nearest(row, column, [h, w], [toH, toW]) {
  return Math.floor(((row + 0.5) / h) * toH) * toW + Math.floor(((column + 0.5) / w) * toW);
}

/**
 * Rotate (or mirror) scores so that they come as close as they can to others: orthogonal Procrustes.
 *
 * Both (n, 3) of the same n patches, with columns brought to the same spread first, for each becomes
 * a colour of its own. Returns the turned scores.
 */
export function align(scores, reference) {
  const n = scores.length / COMPONENTS;
  const [from, to] = [standardised(scores), standardised(reference)];
  const rotation = nearestOrthogonal(product(from, to, n));
  const turned = new Float32Array(scores.length);
  for (let i = 0; i < n; i++) {
    for (let c = 0; c < COMPONENTS; c++) {
      let sum = 0;
      for (let k = 0; k < COMPONENTS; k++) sum += from[i * COMPONENTS + k] * rotation[k][c];
      turned[i * COMPONENTS + c] = sum;
    }
  }
  return turned;
}

function standardised(scores) {
  const result = Float32Array.from(scores);
  for (let c = 0; c < COMPONENTS; c++) {
    let square = 0;
    for (let i = c; i < scores.length; i += COMPONENTS) square += scores[i] ** 2;
    const scale = square > 0 ? 1 / Math.sqrt(square) : 0;
    for (let i = c; i < scores.length; i += COMPONENTS) result[i] *= scale;
  }
  return result;
}

function product(a, b, n) {
  const result = [0, 1, 2].map(() => [0, 0, 0]);
  for (let i = 0; i < n * COMPONENTS; i += COMPONENTS) {
    for (let k = 0; k < COMPONENTS; k++) for (let c = 0; c < COMPONENTS; c++) result[k][c] += a[i + k] * b[i + c];
  }
  return result;
}

/** U Vᵀ of a 3 x 3 matrix U S Vᵀ: with V and S² from MᵀM, U = M V / S. */
function nearestOrthogonal(m) {
  const cells = [0, 1, 2];
  const square = cells.map((i) => cells.map((j) => cells.reduce((sum, k) => sum + m[k][i] * m[k][j], 0)));
  const { values, vectors: v } = eigen(square);
  const u = [];
  for (const c of cells) {
    const image = cells.map((k) => cells.reduce((sum, j) => sum + m[k][j] * v[c][j], 0));
    u.push(values[c] > 1e-12 * values[0] && values[0] > 0 ? orthonormal(image, u) : fresh(u));
  }
  return cells.map((k) => cells.map((j) => cells.reduce((sum, c) => sum + u[c][k] * v[c][j], 0)));
}

function orthonormal(vector, others) {
  const rest = others.reduce((left, other) => {
    const along = left.reduce((sum, x, i) => sum + x * other[i], 0);
    return left.map((x, i) => x - along * other[i]);
  }, vector);
  const norm = Math.hypot(...rest);
  return rest.map((x) => x / norm);
}

/** A unit vector orthogonal to those that are there: where nothing is to match, any will do. */
function fresh(others) {
  const axes = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
  const along = (axis) => others.reduce((sum, other) => sum + axis.reduce((s, x, i) => s + x * other[i], 0) ** 2, 0);
  return orthonormal(axes.sort((a, b) => along(a) - along(b))[0], others);
}
