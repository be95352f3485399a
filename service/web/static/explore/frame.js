// What stands around the maps: how they are shown, and what they mean.
import { h } from "../dom.js";

/** The switches; each sets one of the explorer's `view`, and draws again. */
export function toolbar(explorer) {
  const { view } = explorer;
  const set = (name, value) => {
    view[name] = value;
    explorer.redraw();
  };
  const check = (name, label) =>
    h("label", {}, h("input", { type: "checkbox", checked: view[name], onchange: (event) => set(name, event.target.checked) }), label);
  const slide = (name, label, [min, max, step]) => {
    const shown = h("output", {}, view[name]);
    return h("label", {}, label,
      h("input", { type: "range", min, max, step, value: view[name], oninput: (event) => {
        shown.value = event.target.value;
        set(name, Number(event.target.value));
      } }), shown);
  };
  return h("div", { class: "toolbar", role: "group", "aria-label": "How maps are shown" },
    slide("opacity", "Maps over photograph", [0, 1, 0.05]),
    check("smooth", "Smooth"),
    check("shared", "One colour scale for both"),
    slide("threshold", "Alike from", [-1, 1, 0.05]));
}

export function help() {
  return h("details", { class: "help card" },
    h("summary", {}, "What the maps show"),
    h("p", {}, "Upper row: the first three principal components of the patch features, as red, green and blue: " +
      "what has like colours has like features. B's components are turned (orthogonal Procrustes) to come as close " +
      "to A's as they can, so that the same thing gets a like colour in both; the colours themselves mean nothing."),
    h("p", {}, "Lower row: cosine similarity of every patch to the chosen one, with the five most alike framed. " +
      "Hover, tap, or move with the arrow keys once the photograph has the focus. Contrast is the 95th percentile " +
      "minus the median: how far what is alike stands out."),
    h("p", {}, "In another picture the same patch is looked for: its features are compared with those of all patches there."),
    h("p", {}, "CKA compares how patches are related among each other: 1 if alike in both encoders, on 16 × 16 places at most."),
    h("p", {}, "A picture is shown and measured in its largest centred square. A large photograph is scaled down here, " +
      "to twice the encoder's input, before it is sent: its features are those of the original but for that resampling. " +
      "It goes to this server only, and is not kept there."));
}
