// Where the picture comes from: a file dropped, pasted or chosen, or one of the samples.
import { request } from "../api.js";
import { h } from "../dom.js";
import { complain } from "../notices.js";

export const SAMPLES = ["meadow", "road", "desert"];
const FOLDER = "/web/explore";

export async function sample(name) {
  const response = await request("GET", `${FOLDER}/${name}.webp`);
  return new File([await response.blob()], `${name}.webp`, { type: "image/webp" });
}

/** A button for each sample; `label` is what they do. */
export function sampleButtons(label, onpick) {
  return SAMPLES.map((name) =>
    h("button", { type: "button", class: "sample", "aria-label": `${label}: ${name}`, onclick: () => sample(name).then(onpick, complain) },
      h("img", { src: `${FOLDER}/${name}.webp`, alt: "", width: 48, height: 48 })));
}

/**
 * The card with the choice; `onpick(file)` when there is a picture. Files may be dropped and pasted
 * anywhere on the page until `signal` aborts.
 */
export function sourceCard(onpick, signal) {
  const input = h("input", { type: "file", accept: "image/*", id: "picture", class: "unseen", onchange: () => take(input.files) });
  const take = (files) => {
    if (files?.length) onpick(files[0]);
    input.value = ""; // so that the same file can be chosen again
  };
  const card = h("section", { class: "card pick pick-photo", "aria-label": "Picture" },
    h("span", { class: "label" }, "Picture"),
    h("label", { class: "drop", for: "picture" }, input, h("span", {}, h("b", {}, "Choose a picture"), " or drop or paste one")),
    h("div", { class: "line" }, h("span", { class: "muted" }, "or a drawn one"), sampleButtons("Sample picture", onpick)),
    h("div", { id: "problem-picture", class: "problem", role: "alert" }));
  const on = (type, listener) => addEventListener(type, listener, { signal });
  on("dragover", (event) => {
    event.preventDefault();
    card.classList.add("dropping");
  });
  on("dragleave", () => card.classList.remove("dropping"));
  on("drop", (event) => {
    event.preventDefault();
    card.classList.remove("dropping");
    take(event.dataTransfer.files);
  });
  on("paste", (event) => take(event.clipboardData.files));
  return card;
}
