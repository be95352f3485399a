// Data sets: what there is, and uploading more.
import { get, remove, withQuery } from "../api.js";
import { confirm } from "../dialog.js";
import { ago, bytes, h } from "../dom.js";
import { icon } from "../icons.js";
import { bar } from "../job/words.js";
import { complain, say } from "../notices.js";
import { mayChange, maySubmit, me } from "../session.js";
import { table } from "../table.js";
import { upload } from "../upload.js";

export const title = "Data sets";

const PAGE = 50;

export async function show(root, { signal }) {
  const user = await me();
  const shown = makeTable(user, load);
  const nothing = h(
    "p",
    { class: "muted empty", hidden: true },
    "None yet. Upload an archive of images, or start the server with a folder of them (--data).",
  );
  const more = h(
    "p",
    { class: "more", hidden: true },
    h("button", { onclick: () => load(next).catch(complain) }, "Load more"),
  );
  let items = [];
  let next = null;
  root.append(
    h("h1", {}, title),
    h("section", { class: "card flush", "aria-label": title }, shown.element, nothing, more),
    ...(maySubmit(user) ? [uploadForm(load, signal)] : []),
  );
  await load();

  async function load(after = null) {
    const page = await get(withQuery("/datasets", { limit: PAGE, after }), { signal });
    items = after ? [...items, ...page.data] : page.data;
    next = page.next;
    more.hidden = !page.has_more;
    nothing.hidden = items.length > 0;
    shown.element.hidden = !items.length;
    shown.update(items);
  }
}

function makeTable(user, load) {
  return table({
    label: title,
    key: (dataset) => dataset.path,
    columns: [
      {
        label: "Data set",
        class: "job",
        cell: (dataset) => [
          h("strong", { class: "name" }, dataset.name),
          dataset.visibility === "private" && h("span", { class: "tag" }, "private"),
          h("code", { class: "muted clip", title: dataset.path }, dataset.path),
        ],
      },
      {
        label: "Images",
        class: "right",
        phone: "Images",
        cell: (dataset) => `${dataset.complete ? "" : "over "}${dataset.images.toLocaleString("en")}`,
      },
      { label: "Size", class: "right", phone: "Size", cell: (dataset) => bytes(dataset.bytes) },
      {
        label: "From",
        phone: "From",
        cell: (dataset) => (dataset.source === "upload" ? dataset.user : "the server's folders"),
      },
      { label: "Uploaded", class: "when", cell: (dataset) => dataset.created_at && ago(dataset.created_at) },
      {
        label: "Actions",
        hidden: true,
        class: "actions",
        cell: (dataset) => [
          maySubmit(user) &&
            h(
              "a",
              {
                class: "button quiet",
                href: `#/start?${new URLSearchParams({ dataset: dataset.path })}`,
                "aria-label": `Train on ${dataset.name}`,
              },
              "Train on it",
            ),
          dataset.source === "upload" &&
            mayChange(user, dataset) &&
            h(
              "button",
              {
                class: "quiet square",
                title: "Delete",
                "aria-label": `Delete ${dataset.name}`,
                onclick: () => drop(dataset, load),
              },
              icon("trash"),
            ),
        ],
      },
    ],
  });
}

async function drop(dataset, load) {
  const text = `“${dataset.name}” goes for good, with its ${dataset.images.toLocaleString("en")} images.`;
  if (!(await confirm({ title: "Delete this data set?", text, yes: "Delete for good", danger: true })))
    return;
  try {
    await remove(`/datasets/${encodeURIComponent(dataset.name)}`);
    say(`Deleted: ${dataset.name}`);
    await load();
  } catch (error) {
    complain(error);
  }
}

function uploadForm(load, signal) {
  const archive = h("input", {
    type: "file",
    name: "archive",
    id: "archive",
    required: true,
    accept: ".tar,.gz,.tgz,.zip",
    "aria-describedby": "archive-help archive-error",
  });
  const name = h("input", {
    name: "name",
    id: "name",
    required: true,
    pattern: "[A-Za-z0-9][A-Za-z0-9._\\-]{0,99}",
    maxlength: 100,
    autocomplete: "off",
    "aria-describedby": "name-help name-error",
  });
  const visibility = h(
    "select",
    { name: "visibility", id: "visibility" },
    h("option", { value: "lab" }, "everybody (lab)"),
    h("option", { value: "private" }, "me and admins (private)"),
  );
  const button = h("button", { class: "primary" }, icon("upload"), "Upload");
  const progress = h("div", { class: "upload-progress", hidden: true });
  const result = h("div", { "aria-live": "polite" });
  const wrong = (field) => h("p", { id: `${field}-error`, class: "problem small", "data-field": field });
  archive.addEventListener("change", () => {
    if (!name.value)
      name.value = (archive.files[0]?.name ?? "")
        .replace(/\.(tar|tar\.gz|tgz|zip)$/i, "")
        .replace(/[^A-Za-z0-9._-]+/g, "-")
        .replace(/^[^A-Za-z0-9]+/, "");
  });

  const form = h(
    "form",
    { class: "upload" },
    h(
      "div",
      {},
      h("label", { for: "archive" }, "Archive"),
      archive,
      h(
        "p",
        { id: "archive-help", class: "muted small" },
        "A .tar, .tar.gz or .zip of images; with masks and classes.txt it can be evaluated on.",
      ),
      wrong("archive"),
    ),
    h(
      "div",
      {},
      h("label", { for: "name" }, "Name"),
      name,
      h(
        "p",
        { id: "name-help", class: "muted small" },
        "Letters, digits, “.”, “_” and “-”; jobs know it by this name.",
      ),
      wrong("name"),
    ),
    h("div", {}, h("label", { for: "visibility" }, "For"), visibility, wrong("visibility")),
    h("div", { class: "buttons" }, button),
    progress,
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    await send(form, { button, progress, result, signal, load });
  });
  return h("section", { class: "card" }, h("h2", {}, "Upload"), form, result);
}

async function send(form, { button, progress, result, signal, load }) {
  markErrors(form, []);
  button.disabled = true;
  result.replaceChildren();
  const text = h("span", { class: "muted small" });
  const meter = bar(0, { label: "Upload" });
  progress.replaceChildren(meter, text);
  progress.hidden = false;
  const seen = (share) => {
    meter.firstChild.style.setProperty("--share", share);
    meter.setAttribute("aria-valuenow", Math.round(100 * share));
    text.textContent =
      share < 1 ? `${Math.round(100 * share)} % sent` : "Sent. The server unpacks and checks it …";
  };
  try {
    // The texts first: the server then refuses a bad name before it has taken the archive.
    const data = new FormData();
    for (const field of ["name", "visibility"]) data.append(field, form.elements[field].value);
    data.append("archive", form.elements.archive.files[0]);
    const made = await upload("/datasets", data, { progress: seen, signal });
    form.reset();
    result.replaceChildren(...summary(made));
    await load();
  } catch (error) {
    if (signal.aborted) return;
    markErrors(form, error.errors ?? []);
    const known = (error.errors ?? []).filter(({ field }) =>
      form.querySelector(`[data-field="${CSS.escape(field)}"]`),
    );
    if (!known.length) result.replaceChildren(h("p", { class: "problem" }, error.message));
    if (error.code === "dataset_exists" || known.length) form.elements[known[0]?.field ?? "name"].focus();
  } finally {
    progress.hidden = true;
    button.disabled = false;
  }
}

function markErrors(form, errors) {
  for (const place of form.querySelectorAll("[data-field]")) {
    const found = errors.find(({ field }) => field === place.dataset.field);
    place.textContent = found?.message ?? "";
    const field = form.elements[place.dataset.field];
    if (found) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
  }
}

function summary(made) {
  const left = made.unreadable_count;
  return [
    h(
      "p",
      {},
      h("strong", {}, made.name),
      ` is there, with ${made.images.toLocaleString("en")} images. `,
      h("a", { href: `#/start?${new URLSearchParams({ dataset: made.name })}` }, "Train on it"),
    ),
    made.ignored > 0 &&
      h("p", { class: "muted small" }, `${made.ignored.toLocaleString("en")} other files were left out.`),
    left > 0 &&
      h(
        "details",
        {},
        h(
          "summary",
          {},
          `${left.toLocaleString("en")} ${left === 1 ? "image" : "images"} could not be read and ${left === 1 ? "was" : "were"} left out`,
        ),
        h(
          "ul",
          { class: "plain small" },
          made.unreadable.map(({ file, reason }) =>
            h("li", {}, h("code", {}, file), h("span", { class: "muted" }, ` ${reason}`)),
          ),
        ),
      ),
  ].filter(Boolean);
}
