// What can be done with a job: cancel, resume, delete.
import { post, remove } from "../api.js";
import { confirm } from "../dialog.js";
import { h } from "../dom.js";
import { icon } from "../icons.js";
import { complain, say } from "../notices.js";
import { mayChange } from "../session.js";
import { hasEnded, nameOf } from "./words.js";

const ACTIONS = {
  cancel: { icon: "stop", label: "Cancel", run: (job) => post(`/jobs/${job.id}/cancel`), said: "Cancelled" },
  resume: {
    icon: "resume",
    label: "Resume",
    run: (job) => post(`/jobs/${job.id}/resume`),
    said: "Queued again",
  },
  delete: { icon: "trash", label: "Delete", run: (job) => remove(`/jobs/${job.id}`), said: "Deleted" },
};

const QUESTIONS = {
  cancel: (job) => ({
    title: "Cancel this job?",
    text:
      job.status === "running"
        ? `“${nameOf(job)}” writes a checkpoint first, and can be resumed from it.`
        : `“${nameOf(job)}” has not started; it leaves the queue, and can be resumed later.`,
    yes: "Cancel the job",
  }),
  delete: (job) => ({
    title: "Delete this job?",
    text: `“${nameOf(job)}” goes for good, with its log, its checkpoints${job.encoder ? " and its encoder" : ""}.`,
    yes: "Delete for good",
    danger: true,
  }),
};

/** Names of what may be done with a job in its status. */
export function possible(job) {
  if (!hasEnded(job)) return job.cancel_requested ? [] : ["cancel"];
  return job.status === "succeeded" ? ["delete"] : ["resume", "delete"];
}

/**
 * Buttons for it; `done(name)` is called after each. `words`: with labels, not only icons;
 * `around(name, run)` sends the request, by calling `run`.
 */
export function actionButtons(job, user, done, { words = false, around = (_, run) => run() } = {}) {
  if (!mayChange(user, job)) return [];
  return possible(job).map((name) => {
    const { icon: drawing, label } = ACTIONS[name];
    const attributes = words
      ? {}
      : { class: "quiet square", title: label, "aria-label": `${label} ${nameOf(job)}` };
    return h(
      "button",
      { type: "button", ...attributes, onclick: () => act(name, job, done, around) },
      icon(drawing),
      words && label,
    );
  });
}

async function act(name, job, done, around) {
  if (QUESTIONS[name] && !(await confirm(QUESTIONS[name](job)))) return;
  try {
    await around(name, () => ACTIONS[name].run(job));
    say(`${ACTIONS[name].said}: ${nameOf(job)}`);
    await done(name);
  } catch (error) {
    complain(error);
  }
}
