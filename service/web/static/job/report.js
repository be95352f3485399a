// The report of an evaluation: what each encoder reached, and what was gained, with 95 % intervals.
import { get } from "../api.js";
import { h, number, svg } from "../dom.js";

const PROTOCOLS = {
  in_context: "In context",
  linear: "Linear head",
  knn: "Nearest neighbours",
  overclustering: "Overclustering",
};

/** {element, ask(job)}: `ask` fetches it once the job has ended well. */
export function report(signal) {
  const body = h("div");
  const links = h("span", { class: "buttons" });
  const element = h(
    "section",
    { class: "card", hidden: true },
    h("div", { class: "head" }, h("h2", {}, "Evaluation"), links),
    body,
  );
  let done = false;

  async function ask(job) {
    if (done || job.status !== "succeeded" || !job.links.report) return;
    const found = await get(`${job.links.report}?format=json`, { signal });
    done = true;
    element.hidden = false;
    links.replaceChildren(
      h(
        "a",
        { class: "button small", href: `${job.links.report}?format=html`, target: "_blank" },
        "With pictures",
      ),
      h(
        "a",
        {
          class: "button quiet small",
          href: `${job.links.report}?format=markdown`,
          download: `${job.id}-report.md`,
        },
        "Markdown",
      ),
    );
    body.replaceChildren(...reportParts(found));
  }

  return { element, ask };
}

/** The report's contents as elements. */
export function reportParts(found) {
  const size = `${found.dataset}: ${found.train_images} images to learn from, ${found.val_images} to judge, at ${found.size} pixels`;
  return [
    h("p", { class: "muted" }, size),
    resultTable(found),
    found.notes.length &&
      h(
        "ul",
        { class: "small muted" },
        found.notes.map((note) => h("li", {}, note)),
      ),
    perClass(found),
  ].filter(Boolean);
}

const hundredths = (value) => (100 * value).toFixed(1);
const percent = (value) => `${hundredths(value)} %`;
const writer = (unit) => (unit === "share" ? percent : number);
const METRICS = { miou: "mIoU", miou_strict: "mIoU, strict", accuracy: "accuracy" };

/** `miou_hungarian_300` -> "mIoU, Hungarian, 300 clusters". */
function metricName(metric) {
  const parts = /^miou_(hungarian|many_to_one)_(\d+)$/.exec(metric);
  if (!parts) return METRICS[metric] ?? metric.replaceAll("_", " ");
  return `mIoU, ${parts[1] === "hungarian" ? "Hungarian" : "many to one"}, ${parts[2]} clusters`;
}

function rowsOf(found) {
  const keys = [...new Map(found.results.map((one) => [`${one.protocol}/${one.metric}`, one])).values()];
  return keys.map(({ protocol, metric, unit }) => ({
    protocol,
    metric,
    unit,
    results: found.encoders.map(({ name }) =>
      found.results.find((one) => one.encoder === name && one.protocol === protocol && one.metric === metric),
    ),
  }));
}

function resultTable(found) {
  const [, ...others] = found.encoders;
  const rows = rowsOf(found);
  let before = null;
  return h(
    "table",
    { class: "table report" },
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        h("th", { scope: "col" }, "Measure"),
        found.encoders.map(({ name }) => h("th", { scope: "col", class: "right" }, name)),
        others.map(({ name }) => h("th", { scope: "col" }, others.length > 1 ? `Gain of ${name}` : "Gain")),
      ),
    ),
    h(
      "tbody",
      {},
      rows.map((row) => {
        const first = row.protocol !== before;
        before = row.protocol;
        return h(
          "tr",
          {},
          h(
            "th",
            { scope: "row" },
            h("span", { class: first ? "" : "sr-only" }, PROTOCOLS[row.protocol] ?? row.protocol),
            h("span", { class: "metric muted" }, metricName(row.metric)),
          ),
          row.results.map((one, index) => valueCell(one, row.unit, found.encoders[index].name)),
          row.results.slice(1).map((one) => gainCell(one, row, rows)),
        );
      }),
    ),
  );
}

function valueCell(result, unit, name) {
  if (!result) return h("td", { class: "right" }, "–");
  const write = writer(unit);
  return h(
    "td",
    { class: "right", "data-label": name },
    h("strong", {}, write(result.value)),
    result.low != null && h("span", { class: "interval muted small" }, interval(result, unit)),
  );
}

const interval = ({ low, high }, unit) =>
  unit === "share" ? `${hundredths(low)} – ${percent(high)}` : `${number(low)} – ${number(high)}`;

function gainCell(result, row, rows) {
  const gain = result?.difference;
  if (!gain) return h("td", {}, "–");
  const sure = gain.low == null ? "" : gain.low > 0 ? "up" : gain.high < 0 ? "down" : "";
  const write = (value) =>
    `${value > 0 ? "+" : ""}${row.unit === "share" ? hundredths(value) : number(value)}`;
  const words = { up: "more", down: "less", "": "may be chance" }[sure];
  return h(
    "td",
    { class: "gain" },
    h("strong", { class: sure }, write(gain.value)),
    gain.low != null && [
      whisker(gain, rows, row.unit, sure),
      h("span", { class: "interval muted small" }, `${write(gain.low)} to ${write(gain.high)}, ${words}`),
    ],
  );
}

/** A line from low to high around nothing gained, on one scale for all rows of a unit. */
function whisker(gain, rows, unit, sure) {
  const all = rows
    .filter((row) => row.unit === unit)
    .flatMap((row) => row.results.map((one) => one?.difference))
    .filter((one) => one?.low != null);
  const most = Math.max(...all.flatMap((one) => [Math.abs(one.low), Math.abs(one.high)])) || 1;
  const x = (value) => (48 + (value / most) * 44).toFixed(1);
  return svg(
    "svg",
    { class: `whisker ${sure}`, viewBox: "0 0 96 14", width: 96, height: 14, "aria-hidden": "true" },
    svg("line", { class: "zero", x1: 48, x2: 48, y1: 0, y2: 14 }),
    svg("line", { x1: x(gain.low), x2: x(gain.high), y1: 7, y2: 7 }),
    svg("circle", { cx: x(gain.value), cy: 7, r: 3 }),
  );
}

function perClass(found) {
  const rows = rowsOf(found).filter((row) => row.results.some((one) => one?.per_class));
  return (
    rows.length > 0 &&
    h(
      "details",
      { class: "by-class" },
      h("summary", {}, "By class"),
      rows.map((row) =>
        h(
          "details",
          { class: "inner small" },
          h("summary", {}, `${PROTOCOLS[row.protocol] ?? row.protocol}: ${metricName(row.metric)}`),
          h(
            "div",
            { class: "scroll", tabindex: 0, role: "region", "aria-label": "Results by class" },
            h(
              "table",
              { class: "table" },
              h(
                "thead",
                {},
                h(
                  "tr",
                  {},
                  h("th", { scope: "col" }, "Class"),
                  found.encoders.map(({ name }) => h("th", { scope: "col", class: "right" }, name)),
                ),
              ),
              h(
                "tbody",
                {},
                found.classes.map((name, index) =>
                  h(
                    "tr",
                    {},
                    h("th", { scope: "row" }, name),
                    row.results.map((one) =>
                      h(
                        "td",
                        { class: "right" },
                        one?.per_class?.[index] == null ? "–" : percent(one.per_class[index]),
                      ),
                    ),
                  ),
                ),
              ),
            ),
          ),
        ),
      ),
    )
  );
}
