// A job's settings as a list that can be folded, what differs from the nearest preset, and copies.
import { get } from "../api.js";
import { copyButton, curlTo } from "../copy.js";
import { h } from "../dom.js";
import { settingsOf } from "../start/again.js";
import { same } from "../start/values.js";

// What a request need not say of a job.
const DEFAULTS = { name: null, visibility: "lab", priority: "normal" };

/** Whether a setting holds settings. */
export const isSection = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/** {element, update(job)}; settings never change, so that they are written once. */
export function config(signal) {
  const body = h("div");
  const buttons = h("div", { class: "buttons" });
  let done = false;
  async function update(job) {
    if (done) return;
    done = true;
    body.replaceChildren(...tree(job.config));
    buttons.replaceChildren(copyButton("Copy JSON", () => JSON.stringify(job.config, null, 2)));
    if (job.kind !== "train") return;
    const [presets, command] = await Promise.all(
      [get("/train/presets", { signal }), curl(job, signal)].map((one) => one.catch(() => null)), // it does without
    );
    // Made before it is asked for: browsers let a page copy in the moment of a click only.
    if (command) buttons.append(copyButton("Copy curl", () => command));
    if (presets) body.replaceChildren(...compared(job.config, presets.data));
  }
  return {
    element: h(
      "section",
      { class: "card" },
      h("div", { class: "head" }, h("h2", {}, "Settings"), buttons),
      body,
    ),
    update,
  };
}

function compared(settings, presets) {
  const count = (preset) => different(settings, preset.settings);
  const nearest = [...presets].sort((a, b) => count(a) - count(b))[0];
  const left = count(nearest);
  const words = left
    ? `Preset ${nearest.name}, but for ${left} ${left === 1 ? "setting" : "settings"} (bold)`
    : `As preset ${nearest.name}`;
  return [h("p", { class: "muted small" }, words), ...tree(settings, nearest.settings)];
}

/** How many of a preset's settings are not as in the job's. */
function different(settings, base) {
  return Object.entries(base).reduce(
    (count, [name, value]) =>
      count +
      (isSection(value) && isSection(settings?.[name])
        ? different(settings[name], value)
        : Number(!same(value, settings?.[name]))),
    0,
  );
}

/** Plain values first, then each section folded; with a `base`, what differs from it is bold. */
function tree(settings, base) {
  const entries = Object.entries(settings);
  const plain = entries.filter(([, value]) => !isSection(value));
  const sections = entries.filter(([, value]) => isSection(value));
  const strays = (name, value) => base && name in base && !same(base[name], value);
  return [
    plain.length > 0 &&
      h(
        "dl",
        { class: "settings" },
        plain.flatMap(([name, value]) => [
          h("dt", {}, name),
          h(
            "dd",
            {},
            strays(name, value)
              ? h("strong", { title: `The preset's: ${words(base[name])}` }, words(value))
              : words(value),
          ),
        ]),
      ),
    ...sections.map(([name, value]) => {
      const count = isSection(base?.[name]) ? different(value, base[name]) : 0;
      return h(
        "details",
        {},
        h(
          "summary",
          {},
          name,
          count > 0 && h("strong", {}, ` · ${count} ${count === 1 ? "differs" : "differ"}`),
        ),
        h("div", { class: "inner" }, tree(value, isSection(base?.[name]) ? base[name] : undefined)),
      );
    }),
  ].filter(Boolean);
}

function words(value) {
  if (value === null) return "none";
  if (Array.isArray(value))
    return value.map((each) => (typeof each === "object" ? JSON.stringify(each) : each)).join(", ");
  return String(value);
}

/** The request that makes the same job again. */
async function curl({ id }, signal) {
  const { settings } = await settingsOf(id, signal);
  const said = Object.entries(settings).filter(([name, value]) => value !== DEFAULTS[name]);
  return curlTo("/train", JSON.stringify(Object.fromEntries(said), null, 2));
}
