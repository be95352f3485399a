// The form that starts a job: train, evaluate, or embed a folder.
import { get, withQuery } from "../api.js";
import { h } from "../dom.js";
import { refreshSuggestions } from "../encoder-box.js";
import { nearestPreset, settingsOf } from "../start/again.js";
import { KINDS, StartForm } from "../start/form.js";
import { loadStyle } from "../style.js";

export const title = "New job";

export async function show(root, { query, signal }) {
  refreshSuggestions(signal);
  const earlier = query.get("from");
  const [document, presets, datasets, again] = await Promise.all([
    get("/openapi.json", { signal }),
    get("/train/presets", { signal }),
    get("/datasets?limit=100", { signal }),
    earlier && settingsOf(earlier, signal),
    ...["/web/widgets.css", "/web/start/start.css"].map(loadStyle),
  ]);
  const kind = again?.kind ?? (query.get("kind") in KINDS ? query.get("kind") : "train");
  const form = new StartForm(kind, document, kind === "train" ? presets.data : null, signal);
  if (again) {
    if (form.presets) form.setPreset(nearestPreset(form.presets, again.settings, form.tree));
    form.fill(again.settings);
  } else {
    form.fill(Object.fromEntries(["dataset", "encoder"].map((name) => [name, query.get(name) ?? undefined])));
  }
  root.append(
    h("h1", {}, "New job"),
    tabs(kind),
    ...(again ? [h("p", { class: "muted" }, "Filled in from ", h("a", { href: `#/jobs/${earlier}` }, earlier), ".")] : []),
    form.element,
    h("datalist", { id: "datasets" }, datasets.data.map(({ name, path, images }) => h("option", { value: path }, `${name}, ${images} images`))),
  );
}

function tabs(current) {
  return h("nav", { class: "tabs", "aria-label": "Kind of job" }, Object.entries(KINDS).map(([kind, { label }]) =>
    h("a", { href: withQuery("#/start", { kind }), "aria-current": kind === current ? "page" : null }, label)));
}
