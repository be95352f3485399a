// The arithmetic of charts: points in, fewer or smoother points and axis ticks out.

/** Fewer points for a line: the lowest and highest of each of `count / 2` stretches stay. */
export function thin(points, count) {
  if (points.length <= count) return points;
  const size = points.length / (count / 2);
  const kept = [points[0]];
  for (let start = 1; start < points.length - 1; start += size) {
    const stretch = points.slice(Math.floor(start), Math.min(Math.floor(start + size), points.length - 1));
    if (!stretch.length) continue;
    const low = stretch.reduce((best, point) => (point[1] < best[1] ? point : best));
    const high = stretch.reduce((best, point) => (point[1] > best[1] ? point : best));
    kept.push(...(low[0] < high[0] ? [low, high] : low === high ? [low] : [high, low]));
  }
  kept.push(points.at(-1));
  return kept;
}

/** Exponential average that starts without a bias; `weight` of what was before, 0 to 1. */
export function smooth(points, weight) {
  let sum = 0;
  let weights = 0;
  return points.map(([x, y]) => {
    sum = weight * sum + (1 - weight) * y;
    weights = weight * weights + (1 - weight);
    return [x, sum / weights];
  });
}

/** About `count` round numbers that cover low to high. */
export function ticks(low, high, count) {
  if (!(high > low)) return [low];
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.7);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; at += 1)
    found.push(at * step || 0); // not -0
  return found;
}

/** Ticks of a logarithmic axis: powers of ten, with 2 and 5 between where there are few. */
export function logTicks(low, high) {
  const found = [];
  const factors = Math.log10(high / low) < 2 ? [1, 2, 5] : [1];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
    for (const factor of factors) found.push(factor * 10 ** power);
  }
  const within = found.filter((value) => value >= low * 0.999 && value <= high * 1.001);
  return within.length > 1 ? within : ticks(low, high, 4);
}

/** The point whose x is nearest; `points` are sorted by x. */
export function nearest(points, x) {
  let low = 0;
  let high = points.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (points[middle][0] < x) low = middle;
    else high = middle;
  }
  return Math.abs(points[low]?.[0] - x) <= Math.abs(points[high]?.[0] - x) ? points[low] : points[high];
}
