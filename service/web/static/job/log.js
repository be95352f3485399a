// The end of a job's log, which grows while it runs.
import { request } from "../api.js";
import { h } from "../dom.js";

const FIRST_LINES = 500;
const MAX_CHARACTERS = 400_000;

/** {element, ask(job)}: `ask` fetches what is new. */
export function log(signal) {
  const text = h("pre", { class: "log", tabindex: 0, role: "region", "aria-label": "Log" });
  const follow = h("input", { type: "checkbox", checked: true, id: "follow" });
  const all = h("a", { class: "button quiet small", target: "_blank" }, "Whole log");
  const element = h(
    "section",
    { class: "card", hidden: true },
    h(
      "div",
      { class: "head" },
      h("h2", {}, "Log"),
      h("span", { class: "buttons" }, h("label", { class: "tick" }, follow, "Follow"), all),
    ),
    text,
  );
  text.addEventListener("scroll", () => {
    const atEnd = text.scrollHeight - text.scrollTop - text.clientHeight < 30;
    if (!atEnd) follow.checked = false;
  });
  follow.addEventListener("change", toEnd);
  let end = null;

  function toEnd() {
    if (follow.checked) text.scrollTop = text.scrollHeight;
  }

  async function ask(job) {
    all.setAttribute("href", job.links.log);
    const query = end === null ? `tail=${FIRST_LINES}` : `offset=${end}`;
    const response = await request("GET", `${job.links.log}?${query}`, { signal });
    const more = await response.text();
    end = Number(response.headers.get("Log-End"));
    if (!more) return;
    element.hidden = false;
    text.append(more);
    if (text.textContent.length > MAX_CHARACTERS)
      text.textContent = text.textContent.slice(-MAX_CHARACTERS / 2);
    toEnd();
  }

  return { element, ask };
}
