// Eigenvectors of small symmetric matrices, by Jacobi's rotations.

/** Return {values, vectors} of an n x n matrix (rows of arrays), largest value first; vectors[i] is the i-th. */
export function eigen(matrix) {
  const n = matrix.length;
  const a = matrix.map((row) => Float64Array.from(row));
  const v = a.map((_, i) => Float64Array.from({ length: n }, (_, j) => Number(i === j))); // rows: eigenvectors
  const scale = a.reduce((sum, row) => sum + row.reduce((part, x) => part + x * x, 0), 0);
  for (let sweep = 0; sweep < 60 && offDiagonal(a) > 1e-24 * scale; sweep++) {
    for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) rotate(a, v, p, q);
  }
  const order = [...a.keys()].sort((i, j) => a[j][j] - a[i][i]);
  return { values: order.map((i) => a[i][i]), vectors: order.map((i) => v[i]) };
}

function offDiagonal(a) {
  let sum = 0;
  for (let p = 0; p < a.length; p++) for (let q = 0; q < p; q++) sum += 2 * a[p][q] * a[p][q];
  return sum;
}

/** One rotation in the plane of p and q that makes a[p][q] zero. */
function rotate(a, v, p, q) {
  if (a[p][q] === 0) return;
  const theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
  const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1));
  const c = 1 / Math.hypot(t, 1);
  const s = t * c;
  for (let k = 0; k < a.length; k++) {
    const [left, right] = [a[k][p], a[k][q]];
    a[k][p] = c * left - s * right;
    a[k][q] = s * left + c * right;
  }
  for (const rows of [a, v]) {
    for (let k = 0; k < a.length; k++) {
      const [upper, lower] = [rows[p][k], rows[q][k]];
      rows[p][k] = c * upper - s * lower;
      rows[q][k] = s * upper + c * lower;
    }
  }
}
