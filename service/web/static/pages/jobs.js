// The list of jobs: live, filtered, a few chosen to be compared.
import { get, withQuery } from "../api.js";
import { curlTo } from "../copy.js";
import { ago, duration, h } from "../dom.js";
import { actionButtons } from "../job/actions.js";
import {
  bar,
  encodersOf,
  figuresOf,
  folderOf,
  hasEnded,
  kindOf,
  leftOf,
  nameOf,
  ordinal,
  secondsOf,
  share,
  statusOf,
  stepsOf,
} from "../job/words.js";
import { complain } from "../notices.js";
import { poll } from "../poll.js";
import { maySubmit, me } from "../session.js";
import { table } from "../table.js";

export const title = "Jobs";

/** How many jobs are compared at most: more curves cannot be told apart. */
export const MAX_COMPARED = 12;

const PAGE = 30;
const MAX_SHOWN = 1000; // what the server gives at once
const POLL_SECONDS = 2;
const EXAMPLE = '{"preset": "tiny", "dataset": "photos"}';
const TYPING_MILLISECONDS = 250;
const KINDS = ["train", "evaluate", "embed"];
const STATUSES = ["queued", "running", "succeeded", "failed", "cancelled"];

export async function show(root, { query, signal }) {
  const user = await me();
  const example = await curlTo("/train", EXAMPLE);
  const filter = Object.fromEntries(
    ["kind", "status", "user", "search"].map((name) => [name, query.get(name) ?? ""]),
  );
  const chosen = new Set();
  let wanted = PAGE;
  let typing = null;

  const jobs = makeTable(user, chosen, chose, acted);
  const card = h("div", { class: "card flush" }, jobs.element);
  const empty = h("div", { class: "card empty", hidden: true });
  const more = h(
    "button",
    {
      hidden: true,
      onclick: () => {
        wanted = Math.min(wanted + PAGE, MAX_SHOWN);
        ask().catch(complain);
      },
    },
    "Load more",
  );
  const rest = h("span", { class: "muted", hidden: true }, "Older jobs are found by searching.");
  const compare = h("a", { class: "button primary" });
  const clear = h(
    "button",
    {
      onclick: () => {
        chosen.clear();
        chose();
      },
    },
    "Clear",
  );
  const choice = h(
    "div",
    { class: "choice", hidden: true, role: "region", "aria-label": "Chosen jobs" },
    compare,
    clear,
  );
  root.append(
    h("h1", {}, title),
    filters(filter, refilter),
    card,
    empty,
    h("p", { class: "more" }, more, rest),
    choice,
  );
  await poll(ask, { seconds: POLL_SECONDS, signal });

  async function ask() {
    const address = addressOf();
    const page = await get(address, { signal });
    const queue = page.data.some((job) => job.status === "queued") ? await places(signal) : new Map();
    if (address !== addressOf()) return; // a newer question is on its way
    more.hidden = !page.has_more || wanted === MAX_SHOWN;
    rest.hidden = !page.has_more || wanted < MAX_SHOWN;
    draw(page.data.map((job) => ({ ...job, place: queue.get(job.id) ?? null })));
  }

  function addressOf() {
    return withQuery("/jobs", { ...filter, limit: wanted });
  }

  function draw(found) {
    jobs.update(found);
    card.hidden = !found.length;
    const kind = found.length ? "" : Object.values(filter).some(Boolean) ? "filtered" : "none";
    empty.hidden = !kind;
    if (empty.dataset.kind === kind) return;
    empty.dataset.kind = kind;
    empty.replaceChildren(
      ...(kind === "none"
        ? beginning(user, example)
        : kind
          ? [h("p", { class: "muted" }, "No job matches these filters.")]
          : []),
    );
  }

  function chose() {
    choice.hidden = !chosen.size;
    const count = chosen.size;
    const fits = count > 1 && count <= MAX_COMPARED;
    if (fits) compare.textContent = `Compare ${count} jobs`;
    else if (count < 2) compare.textContent = "Choose one more to compare";
    else compare.textContent = `${count} chosen: ${MAX_COMPARED} at most can be compared`;
    if (fits) compare.setAttribute("href", `#/compare?ids=${[...chosen].join(",")}`);
    else compare.removeAttribute("href");
    for (const box of jobs.element.querySelectorAll("input")) box.checked = chosen.has(box.value);
  }

  /** Only what is deleted is no longer chosen: a job that the present search leaves out stays so. */
  async function acted(job, name) {
    if (name === "delete" && chosen.delete(job.id)) chose();
    await ask();
  }

  function refilter() {
    history.replaceState(null, "", withQuery("#/jobs", filter));
    clearTimeout(typing);
    typing = setTimeout(() => ask().catch(() => {}), TYPING_MILLISECONDS); // the next poll says what is wrong
  }
}

/** Where queued jobs stand, by id; without Redis nobody knows. */
async function places(signal) {
  try {
    const { queue } = await get("/cluster", { signal });
    return new Map(queue.map(({ job, position, reason }) => [job, { position, reason }]));
  } catch {
    return new Map();
  }
}

function filters(filter, change) {
  const set = (name) => (event) => {
    filter[name] = event.target.value;
    change();
  };
  const select = (name, label, all, values) => {
    const options = [["", all], ...values.map((value) => [value, value])];
    return h(
      "select",
      { "aria-label": label, onchange: set(name) },
      options.map(([value, text]) => h("option", { value, selected: value === filter[name] }, text)),
    );
  };
  return h(
    "form",
    {
      class: "filters",
      role: "search",
      "aria-label": "Filter jobs",
      onsubmit: (event) => event.preventDefault(),
    },
    h("input", {
      type: "search",
      "aria-label": "Search in name, data set, encoder",
      placeholder: "Search",
      value: filter.search,
      oninput: set("search"),
    }),
    select("kind", "Kind", "All kinds", KINDS),
    select("status", "Status", "Any status", STATUSES),
    h("input", {
      type: "text",
      class: "user",
      "aria-label": "User",
      placeholder: "User",
      value: filter.user,
      onchange: set("user"),
    }),
  );
}

function makeTable(user, chosen, chose, acted) {
  const check = (job) =>
    h("input", {
      type: "checkbox",
      value: job.id,
      "aria-label": `Choose ${nameOf(job)}`,
      checked: chosen.has(job.id),
      onchange: (event) => {
        event.target.checked ? chosen.add(job.id) : chosen.delete(job.id);
        chose();
      },
    });
  return table({
    label: "Jobs",
    key: (job) => job.id,
    columns: [
      { label: "Choose", hidden: true, class: "check", sign: (job) => job.name, cell: check },
      { label: "Job", class: "job", sign: (job) => [job.name, job.visibility, job.pinned], cell: nameCell },
      { label: "Status", class: "state", sign: (job) => [job.status, job.cancel_requested], cell: statusOf },
      { label: "Progress", class: "progress", cell: progressCell },
      { label: "By", class: "by", sign: (job) => job.user, cell: (job) => job.user },
      {
        label: "Created",
        class: "when",
        sign: (job) => ago(job.created_at).textContent,
        cell: (job) => ago(job.created_at),
      },
      {
        label: "Actions",
        hidden: true,
        class: "actions",
        sign: (job) => [job.status, job.cancel_requested, job.name],
        cell: (job) => actionButtons(job, user, (name) => acted(job, name)),
      },
    ],
  });
}

function nameCell(job) {
  const about = `${kindOf(job)} · ${[encodersOf(job), folderOf(job.config.dataset)].filter(Boolean).join(" · ")}`;
  return [
    h("a", { class: "name", href: `#/jobs/${job.id}` }, nameOf(job)),
    job.visibility === "private" && h("span", { class: "tag" }, "private"),
    job.pinned && h("span", { class: "tag" }, "pinned"),
    h("span", { class: "muted small clip", title: about }, about),
  ];
}

function progressCell(job) {
  const line = (...parts) =>
    h("span", { class: "muted small line" }, parts.flat().filter(Boolean).join(" · "));
  if (job.status === "queued") {
    const place = job.place
      ? `${ordinal(job.place.position)} in line: ${job.place.reason}`
      : "waits for its turn";
    return line(place, stepsOf(job) && `stopped at ${stepsOf(job)}`);
  }
  if (job.status === "failed")
    return h(
      "span",
      { class: "small problem two", title: job.error?.message },
      job.error?.message ?? job.error?.code ?? "",
    );
  const took = hasEnded(job) && secondsOf(job) != null ? `in ${duration(secondsOf(job))}` : "";
  const bars =
    share(job) != null &&
    job.status !== "succeeded" &&
    bar(share(job), { label: `Progress of ${nameOf(job)}`, still: job.status !== "running" });
  return [
    bars,
    line(stepsOf(job) || (job.status === "running" && "starting"), figuresOf(job), leftOf(job), took),
  ];
}

function beginning(user, example) {
  return [
    h("h2", {}, "No jobs yet"),
    h(
      "p",
      { class: "muted" },
      "A job post-trains an encoder on your images, embeds them, or measures what was gained.",
    ),
    maySubmit(user) && h("p", {}, h("a", { class: "button primary", href: "#/start" }, "Start a job")),
    h("p", { class: "muted small" }, "or from a terminal"),
    h("pre", {}, example),
  ].filter(Boolean);
}
