// Where the fields stand: those that matter first, all others in sections that unfold.
import { h } from "../dom.js";
import { prose } from "./fields.js";

const JOB = ["visibility", "priority", "slots"]; // what every kind of job has

/** Elements for a tree of fields: `first` names those that are always seen. */
export function layout(tree, fields, first) {
  const shown = first.map((name) => fields.byName.get(name).element);
  const rest = tree.filter(({ name }) => !first.includes(name));
  const own = rest.filter(({ kind }) => kind !== "section");
  const elements = (some) => some.map(({ name }) => fields.byName.get(name).element);
  const [general, job] = [false, true].map((wanted) => own.filter(({ name }) => JOB.includes(name) === wanted));
  const sections = rest.filter(({ kind }) => kind === "section");
  return [
    h("div", { class: "first card" }, shown),
    h("section", { class: "all card", "aria-label": "All settings" },
      h("h2", {}, "All settings"),
      general.length > 0 && folded("General", "", elements(general), true),
      sections.map((one) => section(one, fields)),
      folded("Job", "Who may see it, and what it makes room for.", elements(job))),
  ];
}

function section({ label, help, fields: inner }, fields) {
  const parts = inner.map((one) => (one.kind === "section" ? section(one, fields) : fields.byName.get(one.name).element));
  return folded(label, help, parts);
}

function folded(label, help, parts, open = false) {
  return h("details", { open },
    h("summary", {}, h("b", {}, label), help && h("span", { class: "muted" }, prose(` ${help.split(". ")[0]}`))),
    h("div", { class: "fields" }, parts));
}
