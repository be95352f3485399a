// The cluster: workers and their GPUs, the queue, who uses how much, and the disk.
import { get } from "../api.js";
import { ago, bytes, duration, h, number } from "../dom.js";
import { bar, nameOf } from "../job/words.js";
import { poll } from "../poll.js";
import { refill, table } from "../table.js";

export const title = "Cluster";

const POLL_SECONDS = 3;

export async function show(root, { signal }) {
  const names = new Map();
  const workers = h("div", { class: "workers" });
  const queue = queueTable(names);
  const empty = h("p", { class: "muted empty" }, "Nothing waits.");
  const users = h("div", { class: "card" });
  const storage = h("div", { class: "card" });
  const count = h("span", { class: "tag" });
  root.append(
    h("h1", {}, title),
    workers,
    h(
      "section",
      { class: "card flush queue" },
      h("div", { class: "head start" }, h("h2", {}, "Queue"), count),
      queue.element,
      empty,
    ),
    h("div", { class: "halves" }, users, storage),
  );
  let signs = [];
  await poll(ask, { seconds: POLL_SECONDS, signal });

  async function ask() {
    const [cluster, room] = await Promise.all([get("/cluster", { signal }), get("/storage", { signal })]);
    await learnNames(names, idsIn(cluster), signal);
    count.textContent = cluster.queued_jobs.toLocaleString("en");
    queue.update(cluster.queue);
    queue.element.hidden = !cluster.queue.length;
    empty.hidden = cluster.queue.length > 0;
    const parts = [
      [workers, [cluster.workers, cluster.workers.map(upFor), [...names.values()]], () => workerCards(cluster.workers, names)],
      [users, [cluster.users, cluster.limits], () => usage(cluster)],
      [storage, room, () => disk(room)],
    ];
    signs = parts.map(([element, value, make], index) => {
      const sign = JSON.stringify(value);
      if (sign !== signs[index]) refill(element, make());
      return sign;
    });
  }
}

function idsIn({ workers, queue }) {
  const all = [
    ...workers.flatMap((worker) => worker.slots.map((slot) => slot.job)),
    ...queue.slice(0, 50).map((one) => one.job),
  ];
  return all.filter((id) => id && id !== "private");
}

/** Names of jobs by id; the cluster knows ids only. */
async function learnNames(names, ids, signal) {
  const unknown = [...new Set(ids)].filter((id) => !names.has(id));
  await Promise.all(
    unknown.map(async (id) => {
      const job = await get(`/jobs/${id}`, { signal }).catch(() => null);
      if (job) names.set(id, nameOf(job));
    }),
  );
}

const jobLink = (id, names) =>
  id === "private"
    ? h("span", { class: "muted" }, "a private job")
    : h("a", { href: `#/jobs/${id}` }, names.get(id) ?? id);

const upFor = (worker) => duration((Date.now() - new Date(worker.started_at)) / 1000);

function workerCards(workers, names) {
  if (!workers.length)
    return h("div", { class: "card problem" }, "No worker has announced itself: jobs wait until one does.");
  return [...workers]
    .sort((a, b) => b.slots.length - a.slots.length)
    .map((worker) =>
      h(
        "section",
        { class: "card" },
        h(
          "div",
          { class: "head" },
          h("h2", {}, worker.host),
          h("span", { class: "tag" }, worker.kind === "embed" ? "embedding" : "jobs"),
        ),
        worker.problem && h("p", { class: "problem" }, worker.problem),
        worker.slots.length
          ? h(
              "ul",
              { class: "plain slots" },
              worker.slots.map((slot) => slotRow(slot, names)),
            )
          : h("p", { class: "muted" }, `Answers embedding requests on ${worker.device}.`),
        h(
          "p",
          { class: "muted small" },
          "Version ",
          worker.version,
          ", up for ",
          upFor(worker),
        ),
      ),
    );
}

function slotRow(slot, names) {
  const { memory_bytes: total, free_bytes: free } = slot;
  const used = total && free != null ? 1 - free / total : null;
  return h(
    "li",
    {},
    h(
      "div",
      { class: "row" },
      h("strong", {}, slot.device === "cpu" ? "CPU" : slot.device),
      h("code", { class: "muted" }, slot.id.split("/").at(-1)),
    ),
    h(
      "div",
      {},
      slot.job
        ? [
            h("span", { class: "status running" }, h("span", { class: "sr-only" }, "busy")),
            jobLink(slot.job, names),
            h("span", { class: "muted" }, ` · ${slot.user}`),
          ]
        : h("span", { class: "status" }, "free"),
    ),
    used != null && [
      bar(used, { label: `Memory of ${slot.id}`, still: !slot.job }),
      h("span", { class: "muted small" }, `${bytes(total - free)} of ${bytes(total)} memory in use`),
    ],
    slot.utilisation != null &&
      h("span", { class: "muted small" }, ` · ${Math.round(slot.utilisation * 100)} % busy`),
  );
}

function queueTable(names) {
  return table({
    label: "Queue",
    key: (one) => `${one.job}/${one.position}`,
    columns: [
      { label: "#", class: "place", cell: (one) => one.position },
      {
        label: "Job",
        class: "job",
        sign: (one) => names.get(one.job) ?? one.job,
        cell: (one) => jobLink(one.job, names),
      },
      { label: "By", phone: "By", cell: (one) => one.user },
      { label: "Waits for", class: "reason", cell: (one) => one.reason },
      { label: "Priority", phone: "Priority", cell: (one) => one.priority },
      { label: "Slots", class: "right", phone: "Slots", cell: (one) => (one.nodes > 1 ? `${one.slots} on ${one.nodes} hosts` : one.slots) },
      {
        label: "Queued",
        phone: "Queued",
        sign: (one) => ago(one.queued_at).textContent,
        cell: (one) => ago(one.queued_at),
      },
      { label: "Starts", class: "right", phone: "Starts", sign: startsIn, cell: startsIn },
    ],
  });
}

function startsIn(one) {
  if (!one.starts_at) return "unknown";
  const seconds = (new Date(one.starts_at) - Date.now()) / 1000;
  return seconds < 30 ? "soon" : `in about ${duration(seconds)}`;
}

function usage({ users, limits }) {
  const most = Math.max(...users.map((user) => user.week_slot_hours), limits.week_slot_hours ?? 0, 1e-9);
  const limited = [
    limits.running_slots != null && `${limits.running_slots} slots at once`,
    `${limits.queued_jobs.toLocaleString("en")} jobs in the queue`,
    limits.week_slot_hours != null && `${number(limits.week_slot_hours)} slot hours a week`,
  ].filter(Boolean);
  return [
    h("h2", {}, "Use in the last seven days"),
    users.length
      ? h(
          "ul",
          { class: "plain usage" },
          users.map((user) =>
            h(
              "li",
              {},
              h(
                "div",
                { class: "row" },
                h("strong", {}, user.user),
                h("span", { class: "number" }, `${number(user.week_slot_hours)} slot hours`),
              ),
              bar(user.week_slot_hours / most, { label: `Use of ${user.user}` }),
              h(
                "span",
                { class: "muted small" },
                `${user.running_slots} running, ${user.queued_jobs} waiting, ${Math.round(100 * user.share)} % of all lately`,
              ),
            ),
          ),
        )
      : h("p", { class: "muted" }, "Nobody has used anything."),
    h(
      "p",
      { class: "muted small" },
      `Each may have ${limited.join(", ")}. Whoever has used least lately goes first.`,
    ),
  ];
}

function disk({
  users,
  total,
  disk_bytes: size,
  disk_free_bytes: free,
  quota_bytes: quota,
  user_quota_bytes: userQuota,
}) {
  const kinds = ["checkpoints", "encoders", "artifacts", "uploads"];
  return [
    h("h2", {}, "Disk"),
    bar(1 - free / size, { label: "Disk", still: true }),
    h(
      "p",
      { class: "muted small" },
      `${bytes(free)} of ${bytes(size)} free; jobs and uploads take ${bytes(total)}`,
      quota != null && ` of ${bytes(quota)}`,
      userQuota != null && `, ${bytes(userQuota)} for each user at most`,
    ),
    h(
      "ul",
      { class: "plain usage" },
      [...users]
        .sort((a, b) => b.total - a.total)
        .map((user) =>
          h(
            "li",
            {},
            h(
              "div",
              { class: "row" },
              h("strong", {}, user.user),
              h("span", { class: "number" }, bytes(user.total)),
            ),
            bar(total ? user.total / total : 0, { label: `Disk of ${user.user}` }),
            h(
              "span",
              { class: "muted small" },
              kinds
                .filter((kind) => user[kind])
                .map((kind) => `${kind} ${bytes(user[kind])}`)
                .join(", "),
            ),
          ),
        ),
    ),
  ];
}
