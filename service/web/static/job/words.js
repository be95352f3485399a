// A job in words: what it is called, what it works on, how far it is.
import { duration, h, number } from "../dom.js";

const ENDED = ["succeeded", "failed", "cancelled"];
export const hasEnded = (job) => ENDED.includes(job.status);

const KINDS = { train: "Training", embed: "Embedding", evaluate: "Evaluation" };
const UNITS = { train: "steps", embed: "images" };

export const kindOf = (job) => KINDS[job.kind] ?? job.kind;
const unitOf = (job) => UNITS[job.kind] ?? "steps";

/** What people call it; else what it does. */
export const nameOf = (job) => job.name ?? `${kindOf(job)} on ${folderOf(job.config.dataset) ?? "images"}`;

/** The end of a path. */
export const folderOf = (path) => path?.split("/").filter(Boolean).slice(-2).join("/");

/** `architecture`, or `architecture@weights` if the weights are of one's own. */
function encoderName(encoder) {
  if (!encoder || typeof encoder === "string") return encoder ?? "";
  const weights = encoder.weights === "pretrained" ? "" : `@${folderOf(encoder.weights)}`;
  return `${encoder.architecture}${weights}`;
}

export function encodersOf(job) {
  const { encoder, encoders } = job.config;
  return encoders ? encoders.map(encoderName).join(", ") : encoderName(encoder);
}

export function statusOf(job) {
  const word = job.cancel_requested && job.status === "running" ? "stopping" : job.status;
  return h("span", { class: `status ${job.status}` }, word);
}

/** Part of the work that is done, 0 to 1; null if nobody knows. */
export function share(job) {
  const { step, total_steps: total } = job.progress ?? {};
  return total ? Math.min((step ?? 0) / total, 1) : null;
}

/** A bar; without a share it is empty. */
export function bar(value, { label, still = false } = {}) {
  const inner = h("span");
  inner.style.setProperty("--share", value ?? 0);
  const percent = Math.round((value ?? 0) * 100);
  return h(
    "span",
    {
      class: still ? "bar still" : "bar",
      role: "progressbar",
      "aria-label": label,
      "aria-valuemin": 0,
      "aria-valuemax": 100,
      "aria-valuenow": percent,
    },
    inner,
  );
}

/** "120 of 3,000 steps"; of an evaluation, whose parts are uneven, "12 %". */
export function stepsOf(job) {
  const { step, total_steps: total } = job.progress ?? {};
  if (step == null) return "";
  if (job.kind === "evaluate") return step === total ? "all measured" : `${Math.round(100 * share(job))} %`;
  const done = step.toLocaleString("en");
  return total && step !== total
    ? `${done} of ${total.toLocaleString("en")} ${unitOf(job)}`
    : `${done} ${unitOf(job)}`;
}

/** Loss and speed, as far as there are any. */
export function figuresOf(job) {
  const { loss, images_per_second: speed } = job.progress ?? {};
  return [loss != null && `loss ${number(loss)}`, speed != null && `${number(speed)} images/s`].filter(
    Boolean,
  );
}

/** Seconds from start to end, or to now. */
export function secondsOf(job) {
  if (!job.started_at) return null;
  return ((job.finished_at ? new Date(job.finished_at) : Date.now()) - new Date(job.started_at)) / 1000;
}

export const leftOf = (job) => (job.eta_seconds == null ? "" : `${duration(job.eta_seconds)} left`);

/** 3 -> "3rd". */
export function ordinal(count) {
  const tens = count % 100;
  const end = tens > 10 && tens < 14 ? "th" : ({ 1: "st", 2: "nd", 3: "rd" }[count % 10] ?? "th");
  return `${count}${end}`;
}
