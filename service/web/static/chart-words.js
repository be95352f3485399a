// What a chart shows, in a sentence and as a table: for those who do not see the lines.
import { h } from "./dom.js";

const TABLE_ROWS = 100;

/** One sentence on each series, for those who do not see the lines. */
export function summarize(series, { x, format }) {
  return series
    .map(({ name, points }) => {
      const lowest = points.reduce((best, point) => (point[1] < best[1] ? point : best));
      const [first, last] = [points[0], points.at(-1)];
      const text =
        points.length === 1
          ? `${format(first[1])} at ${x} ${first[0]}`
          : `${format(first[1])} → ${format(last[1])} at ${x} ${last[0].toLocaleString("en")}, lowest ${format(lowest[1])}`;
      return series.length > 1 ? `${name}: ${text}` : text;
    })
    .join("; ");
}

/** Write the values into <details>, while it is open; what scrolls stays, with its focus and place. */
export function fillTable(rows, series, options) {
  if (!rows.open) return;
  const scroller =
    rows.querySelector(".scroll") ??
    rows.appendChild(h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Values" }));
  scroller.replaceChildren(tableOf(series, options));
}

function tableOf(series, { x, format }) {
  const steps = [...new Set(series.flatMap((one) => one.points.map(([step]) => step)))].sort((a, b) => a - b);
  const every = Math.ceil(steps.length / TABLE_ROWS);
  const shown = steps.filter((_, index) => index % every === 0 || index === steps.length - 1);
  const values = series.map((one) => new Map(one.points));
  return h(
    "table",
    { class: "table" },
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        h("th", { scope: "col" }, x),
        series.map((one) => h("th", { scope: "col" }, one.name)),
      ),
    ),
    h(
      "tbody",
      {},
      shown.map((step) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, step.toLocaleString("en")),
          values.map((map) => h("td", {}, map.has(step) ? format(map.get(step)) : "")),
        ),
      ),
    ),
  );
}
