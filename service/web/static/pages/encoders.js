// Encoders: those that jobs made, and the base architectures.
import { get, withQuery } from "../api.js";
import { ago, bytes, h } from "../dom.js";
import { icon } from "../icons.js";
import { complain } from "../notices.js";
import { table } from "../table.js";

export const title = "Encoders";

const PAGE = 15;
const TYPING_MILLISECONDS = 250;

export async function show(root, { signal }) {
  const made = madeTable();
  const bases = baseTable();
  const search = h("input", {
    type: "search",
    "aria-label": "Search encoders",
    placeholder: "Search by name or base",
  });
  const wanted = () => search.value.trim();
  const noneMade = () =>
    wanted()
      ? ["No post-trained encoder matches."]
      : [
          "None yet: a training job that succeeds makes one. ",
          h("a", { href: "#/start" }, "Start a job"),
        ];
  const lists = [
    list("post-trained", made, noneMade, wanted, signal),
    list("base", bases, () => ["No architecture matches."], wanted, signal),
  ];
  const load = () => Promise.all(lists.map((one) => one.load()));
  let typing = null;
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => load().catch(complain), TYPING_MILLISECONDS);
  });
  const section = (heading, shown, { none, more }) =>
    h("section", { class: "card flush" }, h("h2", {}, heading), shown.element, none, more);
  root.append(
    h("h1", {}, title),
    h("div", { class: "filters", role: "search" }, search),
    section("Post-trained", made, lists[0]),
    section("Base architectures", bases, lists[1]),
  );
  await load();
}

/** Pages of one kind: {load(), none, more}. An answer that a newer one has overtaken is dropped. */
function list(kind, shown, empty, wanted, signal) {
  const none = h("p", { class: "muted empty", hidden: true });
  const more = h(
    "p",
    { class: "more", hidden: true },
    h("button", { onclick: () => load(next).catch(complain) }, "Load more"),
  );
  let items = [];
  let next = null;
  let turn = 0;
  async function load(after = null) {
    const mine = (turn += 1);
    const page = await get(withQuery("/encoders", { kind, limit: PAGE, after, search: wanted() }), { signal });
    if (mine !== turn) return;
    items = after ? [...items, ...page.data] : page.data;
    next = page.next;
    more.hidden = !page.has_more;
    none.hidden = items.length > 0;
    none.replaceChildren(...empty());
    shown.element.hidden = !items.length;
    shown.update(items);
  }
  return { load, none, more };
}

const explore = (query, label) =>
  h(
    "a",
    {
      class: "button quiet square",
      href: `#/explore?${new URLSearchParams(query)}`,
      title: "Explore its features",
      "aria-label": label,
    },
    icon("explore"),
  );

function madeTable() {
  return table({
    label: "Post-trained encoders",
    key: (encoder) => encoder.id,
    columns: [
      {
        label: "Encoder",
        class: "job",
        cell: (encoder) => [
          h(
            "a",
            { class: "name", href: `#/jobs/${encoder.job}`, title: "Its job" },
            encoder.name ?? "unnamed",
          ),
          encoder.visibility === "private" && h("span", { class: "tag" }, "private"),
          h("code", { class: "muted clip", title: encoder.id }, encoder.id),
        ],
      },
      {
        label: "From",
        class: "base",
        cell: (encoder) => h("span", { class: "clip", title: encoder.base }, shortBase(encoder.base)),
      },
      {
        label: "Steps",
        class: "right",
        phone: "Steps",
        cell: (encoder) => encoder.steps.toLocaleString("en"),
      },
      { label: "Dim", class: "right", phone: "Dimension", cell: (encoder) => encoder.dim },
      { label: "Size", class: "right", phone: "Size", cell: (encoder) => bytes(encoder.bytes) },
      { label: "By", phone: "By", cell: (encoder) => encoder.user },
      { label: "Made", class: "when", cell: (encoder) => ago(encoder.created_at) },
      {
        label: "Actions",
        hidden: true,
        class: "actions",
        cell: (encoder) => [
          explore(
            { a: encoder.architecture, b: encoder.id },
            `Explore features of ${encoder.name ?? encoder.id}`,
          ),
          h(
            "a",
            {
              class: "button quiet square",
              href: encoder.links.weights,
              download: "",
              title: "Download weights",
              "aria-label": `Download ${encoder.name ?? encoder.id}`,
            },
            icon("download"),
          ),
        ],
      },
    ],
  });
}

/** A base without the folders of its weights. */
const shortBase = (base) => base.replace(/@.*\/(?=[^/]+$)/, "@…/");

function baseTable() {
  return table({
    label: "Base architectures",
    key: (encoder) => encoder.id,
    columns: [
      { label: "Name in timm", class: "job", cell: (encoder) => h("code", { class: "wrap" }, encoder.id) },
      { label: "Patch", class: "right", phone: "Patch", cell: (encoder) => `${encoder.patch_size} px` },
      { label: "Dim", class: "right", phone: "Dimension", cell: (encoder) => encoder.dim },
      { label: "Blocks", class: "right", phone: "Blocks", cell: (encoder) => encoder.depth },
      { label: "Made for", class: "right", phone: "Made for", cell: (encoder) => `${encoder.size} px` },
      {
        label: "Actions",
        hidden: true,
        class: "actions",
        cell: (encoder) => explore({ a: encoder.id }, `Explore features of ${encoder.id}`),
      },
    ],
  });
}
