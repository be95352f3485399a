// The head of a job's page: name, status, what can be done, and the facts beside it.
import { patch } from "../api.js";
import { ago, duration, h } from "../dom.js";
import { icon } from "../icons.js";
import { complain, say } from "../notices.js";
import { mayChange, maySubmit } from "../session.js";
import { refill } from "../table.js";
import { actionButtons } from "./actions.js";
import { hasEnded, kindOf, nameOf, secondsOf, statusOf } from "./words.js";

const PRIORITIES = ["low", "normal", "high"];

/** {element, update(job)}; `changed(name)` is called after an action, `around` as by its buttons. */
export function header(user, changed, around) {
  const name = h("h1");
  const status = h("span", { "aria-live": "polite" });
  const edit = h(
    "button",
    { class: "quiet square", title: "Rename", "aria-label": "Rename", hidden: true, onclick: () => rename() },
    icon("edit"),
  );
  const title = h("div", { class: "title" }, name, edit, status);
  const buttons = h("div", { class: "buttons" });
  let job = null;
  let sign = "";

  function rename() {
    const field = h("input", {
      "aria-label": "Name of the job",
      value: job.name ?? "",
      maxlength: 200,
      required: true,
    });
    const close = () => {
      form.replaceWith(title);
      edit.focus();
    };
    const form = h(
      "form",
      {
        class: "title",
        onsubmit: async (event) => {
          event.preventDefault();
          if (await change(job, { name: field.value.trim() }, changed)) close();
        },
      },
      field,
      h("button", { class: "primary" }, "Save"),
      h("button", { type: "button", onclick: close }, "Not now"),
    );
    form.addEventListener("keydown", (event) => event.key === "Escape" && close());
    title.replaceWith(form);
    field.select();
  }

  function update(now) {
    job = now;
    name.textContent = nameOf(job);
    edit.hidden = !mayChange(user, job);
    const next = [job.status, job.cancel_requested, job.encoder, job.name, "report" in job.links].join();
    if (next === sign) return;
    sign = next;
    status.replaceChildren(statusOf(job));
    refill(buttons, [
      resultLinks(job),
      maySubmit(user) && hasEnded(job) && repeatLink(job),
      actionButtons(job, user, changed, { words: true, around }),
    ]);
  }

  const element = h(
    "div",
    { class: "job-head" },
    h("p", { class: "small" }, h("a", { href: "#/jobs" }, "Jobs"), h("span", { class: "muted" }, " /")),
    title,
    buttons,
  );
  return { element, update };
}

const repeatLink = (job) =>
  h(
    "a",
    {
      class: "button",
      href: `#/start?from=${job.id}`,
      title: "A new job with these settings, to be changed",
    },
    "Run again…",
  );

function resultLinks(job) {
  if (!job.encoder) return [];
  const base = baseOf(job);
  return [
    h(
      "a",
      { class: "button primary", href: `/encoders/${job.encoder}/weights`, download: "" },
      icon("download"),
      "Weights",
    ),
    base &&
      h(
        "a",
        { class: "button", href: `#/explore?${new URLSearchParams({ a: base, b: job.encoder })}` },
        icon("explore"),
        "Explore before and after",
      ),
  ].filter(Boolean);
}

/** What its training began with, as the explorer's address names it. */
function baseOf(job) {
  const { architecture, weights } = job.config.encoder ?? {};
  const made = /\/jobs\/job_\w+\//.exec(weights ?? "");
  if (!architecture || made) return architecture ?? null;
  return weights === "pretrained" ? architecture : `${architecture}@${weights}`;
}

async function change(job, values, changed) {
  try {
    await patch(`/jobs/${job.id}`, values);
    say("Saved");
    await changed("change");
    return true;
  } catch (error) {
    complain(error);
    return false;
  }
}

/** The list of facts: {element, update(job)}. */
export function facts(user, changed) {
  const list = h("dl", { class: "facts" });
  const rows = new Map();

  function update(job) {
    for (const [name, value] of Object.entries(factsOf(job))) {
      if (!rows.has(name)) rows.set(name, list.appendChild(h("div", {}, h("dt", {}, name), h("dd"))));
      const row = rows.get(name);
      row.hidden = !value;
      const made = h("dd", {}, value);
      // Times change all the while: a list that somebody has open must not be replaced with them.
      if (!row.lastChild.isEqualNode(made)) refill(row.lastChild, [...made.childNodes]);
    }
  }

  /** By name, in the order of the page; what is null or false has no row. */
  function factsOf(job) {
    const priorities = user.role === "admin" ? PRIORITIES : PRIORITIES.slice(0, 2);
    return {
      Kind: kindOf(job),
      By: job.user,
      Created: ago(job.created_at),
      Started: job.started_at && ago(job.started_at),
      "Running for": job.started_at && !job.finished_at && duration(secondsOf(job)),
      Took: job.started_at && job.finished_at && duration(secondsOf(job)),
      Worker: job.nodes.map((node) => node.worker).join(", ") || job.worker,
      Slots: job.slots,
      Attempts: job.attempt > 1 && job.attempt,
      Priority: choice(job, "priority", "Priority", priorities),
      "Seen by": choice(job, "visibility", "Seen by", ["lab", "private"]),
      Kept: pin(job),
      "Room made": job.collected_at && ago(job.collected_at),
      Id: h("code", { class: "id" }, job.id),
      Encoder: job.encoder && h("code", { class: "id" }, job.encoder),
    };
  }

  function choice(job, field, label, values) {
    if (!mayChange(user, job)) return job[field];
    const all = values.includes(job[field]) ? values : [...values, job[field]];
    const set = async ({ target: select }) => {
      if (!(await change(job, { [field]: select.value }, changed))) select.value = job[field];
    };
    return h(
      "select",
      { "aria-label": label, onchange: set },
      all.map((value) => h("option", { value, selected: value === job[field] }, value)),
    );
  }

  function pin(job) {
    if (!mayChange(user, job)) return job.pinned ? "pinned" : "by the server's rules";
    return h(
      "button",
      {
        class: "small",
        "aria-pressed": String(job.pinned),
        title: "Nothing of a pinned job is removed to make room",
        onclick: () => change(job, { pinned: !job.pinned }, changed),
      },
      icon("pin"),
      job.pinned ? "Pinned" : "Pin",
    );
  }

  return { element: h("section", { class: "card" }, h("h2", {}, "About"), list), update };
}
