// Which charts a job's metrics make.
import { lineChart } from "../charts.js";
import { duration, h, number } from "../dom.js";

const NOT_DRAWN = new Set(["step", "total_steps", "time", "eta_seconds", "accumulate"]);

// In this order; a chart shows every metric that its pattern knows, and appears once there is one.
// Those that are looked at rarely are folded away.
const CHARTS = [
  { title: "Loss", keys: /^loss$/, log: true, smooth: true },
  { title: "Images a second", keys: /^images_per_second$/, smooth: true },
  { title: "Learning rate", keys: /^lr_/, log: true },
  {
    title: "Seconds a step",
    keys: /_seconds$/,
    smooth: true,
    format: (value) => (value < 60 ? `${number(value)} s` : duration(value)),
  },
  { title: "Seconds of a step, by part", keys: /^seconds_/, smooth: true, rare: true },
  { title: "Gradient norm", keys: /^grad_norm$/, log: true, smooth: true, rare: true },
  {
    title: "Peak memory",
    keys: /memory_bytes$/,
    format: (value) => `${number(value / 1e9, 4)} GB`,
    rare: true,
  },
  { title: "Teacher momentum", keys: /^momentum$/, format: (value) => number(value, 6), rare: true },
  { title: "Weight decay", keys: /^weight_decay$/, rare: true },
];
const NOTES = {
  probe_effective_rank: "How many directions the patch features use",
  probe_cka_to_base: "How alike the features still are to those before the training, 1: the same",
  probe_view_agreement: "How alike a place looks in two views of a photograph",
  probe_neighbour_consistency: "Patches whose nearest neighbour is the same as before the training",
};

const words = (key) => key.replace(/^(probe|lr|seconds)_/, "").replaceAll("_", " ");
const probeTitle = (key) => `Probe: ${words(key).replace("cka", "CKA")}`;

/** The series of all metrics by key: of a step that was done twice, the later values. */
export function seriesOf(rows) {
  const found = new Map();
  for (const row of [...rows.values()].sort((a, b) => a.step - b.step)) {
    for (const [key, value] of Object.entries(row)) {
      if (NOT_DRAWN.has(key) || typeof value !== "number" || !Number.isFinite(value)) continue;
      if (!found.has(key)) found.set(key, []);
      found.get(key).push([row.step, value]);
    }
  }
  return found;
}

/** Charts in the order of the page: {title, keys, rare, …}. */
export function chartsOf(keys) {
  const probes = keys
    .filter((key) => key.startsWith("probe_"))
    .map((key) => ({ title: probeTitle(key), keys: [key], note: NOTES[key] }));
  const known = CHARTS.map((chart) => ({
    ...chart,
    keys: keys.filter((key) => chart.keys.test(key)),
  })).filter((chart) => chart.keys.length);
  const taken = new Set([...probes, ...known].flatMap((chart) => chart.keys));
  const others = keys
    .filter((key) => !taken.has(key))
    .map((key) => ({ title: words(key), keys: [key], rare: true }));
  return [
    ...known.filter((chart) => !chart.rare),
    ...probes,
    ...known.filter((chart) => chart.rare),
    ...others,
  ];
}

export const nameOfKey = words;

/** Charts in two grids, of which the second is folded: {element, update(specs)}, where specs are as
 * of `chartsOf`, each with its `series`. */
export function chartGrids() {
  const often = h("div", { class: "charts" });
  const rarely = h("div", { class: "charts" });
  const more = h("details", { class: "more-charts" }, h("summary", {}, "More charts"), rarely);
  const element = h("section", { "aria-label": "Metrics", hidden: true }, often, more);
  const charts = new Map();

  function fill(grid, specs) {
    specs.forEach((spec, index) => {
      if (!charts.has(spec.title)) charts.set(spec.title, lineChart(spec));
      const chart = charts.get(spec.title);
      chart.element.classList.add("card");
      if (grid.children[index] !== chart.element)
        grid.insertBefore(chart.element, grid.children[index] ?? null);
      chart.update(spec.series);
    });
  }

  function update(specs) {
    element.hidden = !specs.length;
    more.hidden = !specs.some((spec) => spec.rare);
    fill(
      often,
      specs.filter((spec) => !spec.rare),
    );
    fill(
      rarely,
      specs.filter((spec) => spec.rare),
    );
  }
  return { element, update };
}

/** The charts of one job: {element, update(rows)}; `rows` are its metrics by step. */
export function metrics() {
  const grids = chartGrids();
  function update(rows) {
    const found = seriesOf(rows);
    grids.update(
      chartsOf([...found.keys()]).map((spec) => ({
        ...spec,
        series: spec.keys.map((key) => ({ name: words(key), points: found.get(key) })),
      })),
    );
  }
  return { element: grids.element, update };
}
