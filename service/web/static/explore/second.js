// Another picture, in which patches like the chosen one are looked for.
import { h } from "../dom.js";
import { heat } from "./colour.js";
import { embed } from "./features.js";
import { Pane } from "./pane.js";
import { Picture } from "./picture.js";
import { largest, similarityTo } from "./similarity.js";
import { sampleButtons } from "./source.js";

export class Second {
  /**
   * `sides` by key, whose encoders may change; `signal` aborts when the page is left; `onfound` when
   * there is something to look at.
   */
  constructor(analyst, sides, signal, onfound) {
    this.analyst = analyst;
    this.sides = sides;
    this.signal = signal;
    this.onfound = onfound;
    this.found = {}; // by side
    this.photo = new Pane("", "The other picture");
    this.panes = Object.fromEntries(["a", "b"].map((key) =>
      [key, new Pane(`second-${key}`, `Similarity of the other picture to the chosen patch, encoder ${key.toUpperCase()}`)]));
    this.problem = h("p", { class: "problem", role: "alert" });
    this.row = h("div", { class: "second", hidden: true }, this.photo.element, Object.values(this.panes).map((pane) => pane.element));
    const input = h("input", { type: "file", accept: "image/*", class: "unseen", onchange: () => {
      if (input.files.length) this.open(input.files[0]);
      input.value = "";
    } });
    this.element = h("section", { class: "card other", "aria-label": "Another picture" },
      h("div", { class: "line" }, h("label", { class: "button choose" }, input, "Look for the patch in another picture"),
        h("span", { class: "muted" }, "or in"), sampleButtons("Look in the sample", (file) => this.open(file))),
      this.problem, this.row);
    signal.addEventListener("abort", () => this.asked?.abort());
  }

  async open(file) {
    const picture = await Picture.open(file);
    if (this.signal.aborted) return;
    this.picture = picture;
    for (const pane of [this.photo, ...Object.values(this.panes)]) this.picture.draw(pane.photo);
    this.row.hidden = false;
    await this.refresh();
  }

  /** Ask for the features, by the encoders as they are now. */
  async refresh() {
    if (!this.picture) return;
    this.asked?.abort();
    const { signal } = (this.asked = new AbortController());
    this.found = {};
    this.problem.textContent = "";
    const size = Math.max(...Object.values(this.sides).map((side) => side.pixels));
    await Promise.all(Object.entries(this.sides).map(([key, side]) => this.#fetch(key, side, size, signal)));
    if (!signal.aborted) this.onfound();
  }

  /** Find, or say why it cannot be found, what one side shows; the other does not hang on it. */
  async #fetch(key, side, size, signal) {
    try {
      if (!side.facts) return this.panes[key].clear(); // an encoder that is not there
      const upload = await this.picture.upload(size);
      const found = await embed(this.analyst, `second-${key}`, upload, side.encoder, side.pixels, signal);
      if (!signal.aborted) this.found[key] = found;
    } catch (error) {
      if (signal.aborted) return;
      this.panes[key].clear();
      this.problem.textContent = error.errors?.[0]?.message ?? error.message;
    }
  }

  /** Show how like a token, of length one, this picture's patches are. */
  look(key, token, [from, to]) {
    const found = this.found[key];
    if (found?.dim !== token.length) return;
    const { grid, unit, dim } = found;
    const values = similarityTo(token, unit, grid[0] * grid[1], dim);
    const [best, ...others] = largest(values, 5);
    this.panes[key].draw(heat(values, from, to), grid);
    this.panes[key].mark(best, others);
  }
}
