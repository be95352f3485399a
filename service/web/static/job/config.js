// A job's settings as a list that can be folded, and to be copied.
import { showText } from "../dialog.js";
import { h } from "../dom.js";
import { icon } from "../icons.js";
import { say } from "../notices.js";

/** {element, update(job)}; settings never change, so that they are written once. */
export function config() {
  const body = h("div");
  const buttons = h("div", { class: "buttons" });
  let done = false;
  function update(job) {
    if (done) return;
    done = true;
    body.replaceChildren(...tree(job.config));
    buttons.replaceChildren(copyButton("JSON", () => JSON.stringify(job.config, null, 2)),
      ...(job.kind === "train" ? [copyButton("curl", () => curl(job))] : []));
  }
  return { element: h("section", { class: "card" }, h("div", { class: "head" }, h("h2", {}, "Settings"), buttons), body), update };
}

/** Plain values first, then each section folded. */
function tree(settings) {
  const isSection = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
  const entries = Object.entries(settings);
  const plain = entries.filter(([, value]) => !isSection(value));
  const sections = entries.filter(([, value]) => isSection(value));
  return [
    plain.length && h("dl", { class: "settings" }, plain.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, show(value))])),
    ...sections.map(([name, value]) => h("details", {}, h("summary", {}, name), h("div", { class: "inner" }, tree(value)))),
  ].filter(Boolean);
}

function show(value) {
  if (value === null) return h("span", { class: "muted" }, "none");
  if (Array.isArray(value)) return value.map((each) => (typeof each === "object" ? JSON.stringify(each) : each)).join(", ");
  return String(value);
}

/** The request that makes the same job again. */
function curl(job) {
  const body = JSON.stringify({ ...(job.name && { name: job.name }), ...job.config }, null, 2).replaceAll("'", "'\\''");
  return `curl -s ${location.origin}/train -H 'Content-Type: application/json' -d '${body}'`;
}

function copyButton(label, make) {
  return h("button", { class: "quiet small", "aria-label": `Copy as ${label}`, onclick: async () => {
    try {
      await navigator.clipboard.writeText(make());
      say(`Copied as ${label}`);
    } catch {
      showText(`Settings as ${label}`, make()); // no clipboard over plain HTTP
    }
  } }, icon("copy"), label);
}
