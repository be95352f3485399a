// One job, live: its parts are in ../job.
import { get } from "../api.js";
import { h } from "../dom.js";
import { config } from "../job/config.js";
import { files } from "../job/files.js";
import { facts, header } from "../job/header.js";
import { log } from "../job/log.js";
import { metrics } from "../job/metrics.js";
import { report } from "../job/report.js";
import { state } from "../job/state.js";
import { timeline } from "../job/timeline.js";
import { hasEnded, nameOf } from "../job/words.js";
import { poll } from "../poll.js";
import { me } from "../session.js";
import { events } from "../stream.js";

export const title = "Job";

const POLL_SECONDS = 2;
const DRAW_MILLISECONDS = 300;

export async function show(root, { params, signal: left }) {
  const path = `/jobs/${params.id}`;
  const user = await me();
  const asking = new AbortController();
  const { signal } = asking;
  left.addEventListener("abort", () => asking.abort());
  const parts = {
    header: header(user, changed, around),
    facts: facts(user, changed),
    state: state(),
    metrics: metrics(),
    config: config(signal),
    report: report(signal),
    log: log(signal),
    files: files(signal),
    timeline: timeline(),
  };
  const rows = new Map();
  let job = null;
  let complete = null; // the status of which everything was fetched
  let turn = Promise.resolve();
  let checkpoints = [];
  let following = false;
  let last = 0;
  let drawing = null;

  await poll(ask, { seconds: POLL_SECONDS, signal });

  /** One after the other: two at once would both append the same lines of the log. */
  function ask() {
    turn = turn.catch(() => {}).then(refresh);
    return turn;
  }

  async function refresh() {
    const first = !job;
    job = await get(path, { signal });
    if (first) lay(root, parts);
    document.title = `${nameOf(job)} · PaKA Service`;
    const settled = hasEnded(job) && job.status === complete;
    if (!settled) {
      checkpoints = (await parts.files.ask(job).catch(missing)) ?? checkpoints;
      await parts.log.ask(job).catch(missing);
      await parts.report.ask(job).catch(missing);
      complete = job.status;
    }
    for (const name of ["header", "facts", "config"]) parts[name].update(job);
    parts.state.update(job, checkpoints);
    if (!following && !settled) follow();
  }

  async function follow() {
    following = true;
    try {
      for await (const { id, data } of events(`${path}/events`, { signal, after: last })) {
        last = Number(id);
        parts.timeline.add(data);
        if (data.type === "metrics" && data.data?.step != null) rows.set(data.data.step, data.data);
        drawing ??= setTimeout(draw, DRAW_MILLISECONDS);
      }
    } catch {
      // The job's own request, which comes every other second, says what is wrong.
    } finally {
      following = false;
    }
  }

  function draw() {
    drawing = null;
    if (!signal.aborted) parts.metrics.update(rows);
  }

  /** A job that is to go is asked for no more; if it stays after all, the page begins anew. */
  async function around(name, run) {
    if (name !== "delete") return run();
    asking.abort();
    try {
      return await run();
    } catch (error) {
      dispatchEvent(new HashChangeEvent("hashchange"));
      throw error;
    }
  }

  async function changed(name) {
    if (name === "delete") location.hash = "#/jobs";
    else await ask();
  }
}

function lay(root, parts) {
  const { header, facts, state, metrics, config, report, log, files, timeline } = parts;
  const of = (...chosen) => chosen.map((part) => part.element);
  root.append(
    header.element,
    h(
      "div",
      { class: "columns" },
      h("div", { class: "wide" }, of(state, report, metrics)),
      h("div", { class: "side" }, of(facts, files, config, timeline)),
      h("div", { class: "wide" }, of(log)),
    ),
  );
}

/** Something of the job is not there yet, or no more; all else is passed on. */
function missing(error) {
  if (error.status !== 404) throw error;
}
