// Where the fields stand: those that matter first, all others in sections that unfold.
import { h } from "../dom.js";
import { prose } from "./fields.js";

/** Elements for a tree of fields: `first` names those that are always seen. */
export function layout(tree, fields, first) {
  const shown = first.map((name) => fields.byName.get(name).element);
  const rest = tree.filter(({ name }) => !first.includes(name));
  const own = rest.filter(({ kind }) => kind !== "section");
  const sections = rest.filter(({ kind }) => kind === "section");
  return [
    h("div", { class: "first card" }, shown),
    h("section", { class: "all card", "aria-label": "All settings" },
      h("h2", {}, "All settings"),
      sections.map((one) => section(one, fields)),
      own.length > 0 && folded("Job and more", "", own.map(({ name }) => fields.byName.get(name).element))),
  ];
}

function section({ label, help, fields: inner }, fields) {
  const parts = inner.map((one) => (one.kind === "section" ? section(one, fields) : fields.byName.get(one.name).element));
  return folded(label, help, parts);
}

function folded(label, help, parts) {
  return h("details", {},
    h("summary", {}, h("b", {}, label), help && h("span", { class: "muted" }, prose(` ${help.split(". ")[0]}`))),
    h("div", { class: "fields" }, parts));
}
