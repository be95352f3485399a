// Reckons beside the page: of a large encoder, PCA and CKA take longer than a frame.
import { analyse } from "./analysis.js";
import { cka } from "./similarity.js";

const latest = {}; // by side: the tokens of what was analysed last

const TASKS = {
  analyse({ side, buffer }) {
    const { data, ...found } = analyse(buffer);
    latest[side] = { data, grid: found.grid, dim: found.dim };
    return [found, [found.unit.buffer, found.scores.buffer]];
  },
  cka() {
    return [cka(latest.a, latest.b), []];
  },
};

onmessage = ({ data: { id, task, ...given } }) => {
  try {
    const [value, moved] = TASKS[task](given);
    postMessage({ id, value }, moved);
  } catch (error) {
    postMessage({ id, error: error.message });
  }
};
