// From numbers to colours.
import { COMPONENTS } from "./pca.js";

// Viridis at 16 places: equal steps look equally large, to colour-blind eyes and in grey as well.
const VIRIDIS = [
  [68, 1, 84], [72, 26, 108], [71, 47, 125], [65, 68, 135], [57, 86, 140], [49, 104, 142], [42, 120, 142], [35, 136, 142],
  [31, 152, 139], [34, 168, 132], [53, 183, 121], [84, 197, 104], [122, 209, 81], [165, 219, 54], [210, 226, 27], [253, 231, 37],
];

/** The colour of a share of the scale, 0 … 1, as [red, green, blue]. */
export function viridis(share) {
  const place = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1);
  const below = Math.min(Math.floor(place), VIRIDIS.length - 2);
  return VIRIDIS[below].map((low, c) => low + (place - below) * (VIRIDIS[below + 1][c] - low));
}

/** A map of values between `low` and `high` as pixels (RGBA). */
export function heat(values, low, high) {
  const scale = high > low ? 1 / (high - low) : 0;
  const pixels = new Uint8ClampedArray(values.length * 4);
  values.forEach((value, i) => pixels.set([...viridis((value - low) * scale), 255], i * 4));
  return pixels;
}

/**
 * Scores (n, 3) as pixels (RGBA): a component each for red, green and blue.
 *
 * The 2nd percentile becomes 0 and the 98th 255, so that single odd patches do not grey the rest.
 */
export function rgb(scores) {
  const n = scores.length / COMPONENTS;
  const pixels = new Uint8ClampedArray(n * 4).fill(255);
  for (let c = 0; c < COMPONENTS; c++) {
    const sorted = Float32Array.from({ length: n }, (_, i) => scores[i * COMPONENTS + c]).sort();
    const low = sorted[Math.round(0.02 * (n - 1))];
    const high = sorted[Math.round(0.98 * (n - 1))];
    for (let i = 0; i < n; i++) {
      pixels[i * 4 + c] = high > low ? (255 * (scores[i * COMPONENTS + c] - low)) / (high - low) : 128;
    }
  }
  return pixels;
}
