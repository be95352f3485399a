// Beside the form: what will be sent, what it would take, and the buttons.
import { copyButton, curlTo } from "../copy.js";
import { bytes, duration, h, number } from "../dom.js";

const BASES = {
  measured: "measured in earlier runs of this encoder",
  scaled: "from runs of other encoders on this kind of device",
  model: "only reckoned: within a factor of two or so",
};

/** The request as JSON and as a command; `show(body)` brings them up to date. */
export function preview(path) {
  const json = h("pre", { class: "json", tabindex: "0", "aria-label": "The request as JSON" });
  const curl = h("pre", { class: "curl", tabindex: "0", "aria-label": "The request as a command" });
  const element = h("div", {},
    h("h2", {}, "What will be sent"), json,
    h("div", { class: "buttons" }, copyButton("Copy JSON", () => json.textContent), copyButton("Copy curl", () => curl.textContent)),
    h("details", {}, h("summary", {}, "As a command"), curl));
  const show = async (body) => {
    json.textContent = JSON.stringify(body, null, 2);
    curl.textContent = await curlTo(path, JSON.stringify(body));
  };
  return { element, show };
}

/** The answer to a dry run. */
export function costs(answer) {
  const { device, fits, start_in_seconds: wait } = answer;
  const rows = [
    ["Memory", `${bytes(answer.memory_bytes)} for each process`],
    ["Steps", `${number(answer.total_steps, 7)}, ${number(answer.step_seconds)} s each`],
    ["In all", duration(answer.seconds)],
    ["Would start", wait == null ? "nobody knows" : wait < 1 ? "at once" : `in ${duration(wait)}`],
    ["Fits on", fits.length ? fits.map(({ worker, slots }) => `${worker} (${slots.join(", ")})`).join("; ") : null],
  ];
  return h("div", { class: "costs" },
    h("dl", {}, rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value ?? h("span", { class: "problem" }, "no worker that is here"))])),
    h("p", { class: "muted" }, `On ${device}, ${BASES[answer.basis]}.`));
}
