// A few jobs side by side: curves in the same charts, settings that differ, last figures, reports.
import { get, withQuery } from "../api.js";
import { duration, h, number } from "../dom.js";
import { isSection } from "../job/config.js";
import { chartGrids, chartsOf, nameOfKey, seriesOf } from "../job/metrics.js";
import { reportParts } from "../job/report.js";
import { hasEnded, nameOf, secondsOf, statusOf, stepsOf } from "../job/words.js";
import { poll } from "../poll.js";
import { refill } from "../table.js";
import { MAX_COMPARED } from "./jobs.js";

export const title = "Compare";

const POLL_SECONDS = 5;
const PAGE = 1000;

export async function show(root, { query, signal }) {
  const ids = [...new Set((query.get("ids") ?? "").split(",").filter(Boolean))].slice(0, MAX_COMPARED);
  root.append(
    h("p", { class: "small" }, h("a", { href: "#/jobs" }, "Jobs"), h("span", { class: "muted" }, " /")),
    h("h1", {}, title),
  );
  if (ids.length < 2) {
    root.append(
      h(
        "div",
        { class: "card empty" },
        h("p", {}, "Choose two jobs or more in the ", h("a", { href: "#/jobs" }, "list of jobs"), "."),
      ),
    );
    return;
  }
  const runs = ids.map((id) => ({ id, job: null, rows: new Map() }));
  const grids = chartGrids();
  const top = h("div", {
    class: "card flush scroll",
    tabindex: 0,
    role: "region",
    "aria-label": "Jobs and settings",
  });
  const reportTitle = h("h2", { class: "part", hidden: true }, "Evaluations");
  const reports = h("div", { class: "reports" });
  root.append(top, h("h2", { class: "part" }, "Curves"), grids.element, reportTitle, reports);

  await poll(ask, { seconds: POLL_SECONDS, signal });

  async function ask() {
    await Promise.all(runs.map((run) => update(run, signal)));
    refill(top, overview(runs));
    draw();
    await showReports();
    return runs.some((run) => !hasEnded(run.job));
  }

  function draw() {
    const all = runs.map((run) => seriesOf(run.rows));
    const keys = [...new Set(all.flatMap((series) => [...series.keys()]))];
    // One metric a chart: colours and dashes are for jobs here.
    grids.update(
      chartsOf(keys).flatMap((chart) =>
        chart.keys.map((key) => ({
          ...chart,
          title: titleOf(chart, key),
          series: runs.map((run, index) => ({ name: nameOf(run.job), points: all[index].get(key) ?? [] })),
        })),
      ),
    );
  }

  async function showReports() {
    for (const run of runs) {
      if (run.report || run.job.status !== "succeeded" || !run.job.links.report) continue;
      run.report = await get(`${run.job.links.report}?format=json`, { signal }).catch(() => null);
      if (!run.report) continue;
      reportTitle.hidden = false;
      reports.append(h("section", { class: "card" }, h("h3", {}, nameOf(run.job)), reportParts(run.report)));
    }
  }
}

const titleOf = (chart, key) => (chart.keys.length > 1 ? `${chart.title}: ${nameOfKey(key)}` : chart.title);

/** Fetch the job, and the metrics that are new. */
async function update(run, signal) {
  run.job = await get(`/jobs/${run.id}`, { signal });
  let after = run.rows.size ? Math.max(...run.rows.keys()) : -1;
  for (;;) {
    const page = await get(withQuery(`/jobs/${run.id}/metrics`, { limit: PAGE, after_step: after }), {
      signal,
    });
    for (const row of page.data) run.rows.set(row.step, row);
    if (!page.has_more) return;
    after = page.next;
  }
}

/** Figures first, then the settings in which the jobs differ; a column for each job. */
function overview(runs) {
  const jobs = runs.map((run) => run.job);
  const different = differences(jobs.map((job) => job.config));
  const figures = [
    ["Status", statusOf],
    ["Done", stepsOf],
    ["Took", (job) => duration(secondsOf(job))],
    ["Loss", (job) => number(job.progress?.loss)],
    ["Images a second", (job) => number(job.progress?.images_per_second)],
  ];
  const row = (name, values) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, name),
      values.map((value) => h("td", {}, value ?? "–")),
    );
  return h(
    "table",
    { class: "table" },
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        h("td"),
        jobs.map((job) => h("th", { scope: "col" }, h("a", { href: `#/jobs/${job.id}` }, nameOf(job)))),
      ),
    ),
    h(
      "tbody",
      {},
      figures.map(([name, show]) => row(name, jobs.map(show))),
    ),
    h(
      "tbody",
      {},
      h(
        "tr",
        {},
        h(
          "th",
          { scope: "rowgroup", class: "group", colspan: jobs.length + 1 },
          different.length ? "Settings that differ" : "All settings are the same",
        ),
      ),
      different.map(([name, values]) => row(h("code", {}, name), values.map(write))),
    ),
  );
}

/** [name, values] of all settings that are not the same in all; sections that all have are opened. */
function differences(configs, prefix = "") {
  const names = [...new Set(configs.flatMap((config) => Object.keys(config)))];
  return names.flatMap((name) => {
    const values = configs.map((config) => config[name]);
    if (values.every(isSection)) return differences(values, `${prefix}${name}.`);
    return new Set(values.map((value) => JSON.stringify(value))).size > 1 ? [[prefix + name, values]] : [];
  });
}

function write(value) {
  if (value == null) return "none";
  if (Array.isArray(value)) return value.map(write).join(", ");
  return isSection(value)
    ? Object.values(value)
        .filter((each) => each !== null && !isSection(each))
        .map(write)
        .join(", ")
    : String(value);
}
