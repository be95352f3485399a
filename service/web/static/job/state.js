// Where a job stands: its progress, what it waits for, why it failed, which images it left out.
import { bytes, duration, h, number } from "../dom.js";
import { refill } from "../table.js";
import { bar, hasEnded, leftOf, ordinal, share, stepsOf } from "./words.js";

/** {element, update(job, checkpoints)}; steps are not announced, only changes of the status are. */
export function state() {
  const element = h("div", { class: "state" });
  let sign = "";
  function update(job, checkpoints) {
    const next = JSON.stringify([
      job.status,
      job.cancel_requested,
      job.waiting,
      job.progress,
      job.error,
      job.skipped,
      checkpoints.length,
    ]);
    if (next === sign) return;
    sign = next;
    const open = element.querySelector("details")?.open;
    refill(element, [waiting(job), progress(job), failure(job, checkpoints), skipped(job, open)]);
  }
  return { element, update };
}

function waiting(job) {
  if (job.status !== "queued") return null;
  const place = job.waiting ? `${ordinal(job.waiting.position)} in line` : "In line";
  return h(
    "div",
    { class: "card" },
    h("strong", {}, place),
    h("span", { class: "muted" }, ` · ${job.waiting?.reason ?? "starts as soon as a worker takes it"}`),
  );
}

function progress(job) {
  if (!job.progress || job.status === "succeeded") return null;
  const { loss, images_per_second: speed, step_seconds: seconds, peak_memory_bytes: memory } = job.progress;
  const figures = [
    ["Done", stepsOf(job)],
    job.status === "running" && ["Time left", leftOf(job) ? duration(job.eta_seconds) : "–"],
    loss != null && ["Loss", number(loss)],
    speed != null && ["Images a second", number(speed)],
    seconds != null && ["Seconds a step", number(seconds)],
    memory != null && ["Memory", bytes(memory)],
  ].filter(Boolean);
  return h(
    "div",
    { class: "card" },
    bar(share(job), { label: "Progress", still: job.status !== "running" }),
    h(
      "dl",
      { class: "figures" },
      figures.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
    ),
    job.cancel_requested &&
      job.status === "running" &&
      h("p", { class: "muted" }, "It was asked to stop, and is writing a checkpoint."),
  );
}

function failure(job, checkpoints) {
  if (job.status !== "failed" || !job.error) return null;
  const last = checkpoints.at(-1)?.step;
  const next =
    job.kind === "train" && last != null
      ? `“Resume” goes on from its checkpoint at step ${last.toLocaleString("en")}.`
      : "“Resume” starts it again.";
  return h(
    "section",
    { class: "card failure", "aria-label": "Why it failed" },
    h("h2", {}, "It failed", job.error.code !== "job_failed" && [": ", h("code", {}, job.error.code)]),
    h("p", { class: "message" }, job.error.message ?? "The log below says more."),
    hasEnded(job) && h("p", { class: "muted" }, `Once the cause is gone: ${next}`),
  );
}

function skipped(job, open) {
  if (!job.skipped?.count) return null;
  const { count, images } = job.skipped;
  return h(
    "details",
    { class: "card", open },
    h(
      "summary",
      {},
      `${count.toLocaleString("en")} ${count === 1 ? "image" : "images"} could not be read and ${count === 1 ? "was" : "were"} left out`,
    ),
    h(
      "ul",
      { class: "plain small" },
      images.map(({ image, reason }) =>
        h("li", {}, h("code", {}, image), h("span", { class: "muted" }, ` ${reason}`)),
      ),
    ),
    count > images.length && h("p", { class: "muted small" }, `and ${count - images.length} more`),
  );
}
