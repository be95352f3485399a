// The feature explorer: one picture, two encoders, their patch features side by side.
import { withQuery } from "../api.js";
import { h } from "../dom.js";
import { refreshSuggestions } from "../encoder-box.js";
import { STARTER } from "../encoders.js";
import { Explorer } from "../explore/explorer.js";
import { help, toolbar } from "../explore/frame.js";
import { sample, SAMPLES, sourceCard } from "../explore/source.js";
import { loadStyle } from "../style.js";

export const title = "Explore features";

export async function show(root, { query, signal }) {
  await Promise.all(["/web/widgets.css", "/web/explore/explore.css"].map(loadStyle));
  const suggestions = refreshSuggestions(signal);
  const explorer = new Explorer(signal, remember);
  const { a, b } = explorer.sides;
  const swap = h("button", { type: "button", class: "swap", "aria-label": "Swap encoders A and B", onclick: () => explorer.swap() }, "⇄");
  root.append(
    h("h1", {}, "Explore features"),
    h("div", { class: "explorer" },
      sourceCard((file) => explorer.open(file), signal), a.picker, swap, b.picker,
      toolbar(explorer), explorer.element, explorer.second.element),
    help());
  const [first, second] = await chosen(query, suggestions);
  const [file] = await Promise.all([sample(SAMPLES[0]), a.choose(first), b.choose(second)]);
  if (!explorer.picture) await explorer.open(file);
}

/** The encoders that the address names; else the newest result and what it began with. */
async function chosen(query, suggestions) {
  const known = await suggestions;
  const newest = known[0].value.startsWith("enc_") ? known[0] : null;
  const defaults = newest ? [newest.base ?? STARTER, newest.value] : [STARTER, `${STARTER}@random`];
  return [query.get("a") || defaults[0], query.get("b") || defaults[1]];
}

function remember({ a, b }) {
  history.replaceState(null, "", withQuery("#/explore", { a: a.encoder, b: b.encoder }));
}
