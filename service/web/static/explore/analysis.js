// From the service's answer to what the page shows of one encoder.
import { pca } from "./pca.js";
import { parse } from "./safetensors.js";
import { normalise } from "./similarity.js";

/**
 * Read the features of one picture (an ArrayBuffer of safetensors).
 *
 * Returns {geometry, grid: [h, w], dim, data, unit, scores, share, part}: tokens as they are (h x w x
 * dim) and of length one, their PCA, and the part of the picture that the grid covers as shares of
 * its width and height [x0, y0, x1, y1].
 */
export function analyse(buffer) {
  const { metadata, tensors } = parse(buffer);
  const { shape, data } = tensors.patch_tokens;
  const [, h, w, dim] = shape;
  const [width, height] = tensors.original_sizes.data;
  const part = Array.from(tensors.boxes.data, (edge, i) => edge / (i % 2 ? height : width));
  const { scores, share } = pca(data, h * w, dim);
  const unit = normalise(data, h * w, dim);
  return { geometry: JSON.parse(metadata.paka), grid: [h, w], dim, data, unit, scores, share, part };
}
