// One of the two encoders: which, at which size, and what came of it.
import { copyButton, quoted } from "../copy.js";
import { h } from "../dom.js";
import { EncoderBox } from "../encoder-box.js";
import { factsOf } from "../encoders.js";
import { Pane } from "./pane.js";

const GRIDS = [8, 14, 16, 20, 24, 28, 32, 37, 48, 64]; // patches a side that are offered
const MAX_SIZE = 1024;
const CLEAR = 20; // patches a side from which on a map shows more than blocks

export class Side {
  /** `onchange(side)` when the encoder or the size is another; `signal` aborts when the page is left. */
  constructor(key, signal, onchange) {
    const name = key.toUpperCase();
    this.key = key;
    this.signal = signal;
    this.found = null;
    this.onchange = onchange;
    this.box = new EncoderBox({ id: `encoder-${key}`, "aria-describedby": `problem-${key}`, onchange: (value) => this.choose(value) });
    this.size = h("select", { id: `size-${key}`, onchange: () => onchange(this) });
    this.problem = h("div", { id: `problem-${key}`, class: "problem", role: "alert" });
    this.download = h("a", { class: "button small", hidden: true }, "Features (.safetensors)");
    this.curl = copyButton("Copy as curl", () => this.command());
    this.pca = new Pane(`pca pca-${key}`, `PCA of the patch features of encoder ${name}`);
    this.heat = new Pane(`heat heat-${key}`, `Similarity to the chosen patch, encoder ${name}`);
    this.caption = h("p", { class: `caption cap-${key}` }, h("b", {}, name), " features as colours");
    this.legend = h("div", { class: `caption legend-${key}` });
    this.picker = h("section", { class: `card pick pick-${key}`, "aria-label": `Encoder ${name}` },
      h("label", { for: `encoder-${key}` }, `Encoder ${name}`), this.box.element,
      h("label", { for: `size-${key}`, class: "muted" }, "Input and patches"), this.size,
      this.problem,
      h("div", { class: "line" }, this.download, this.curl));
    signal.addEventListener("abort", () => URL.revokeObjectURL(this.download.href)); // megabytes each
  }

  get encoder() {
    return this.box.value;
  }

  get pixels() {
    return Number(this.size.value);
  }

  /** What its features hang on besides the picture; `shown` is that of those found last. */
  get choice() {
    return `${this.encoder} ${this.pixels}`;
  }

  /** Take another encoder; ask for its facts first, as sizes hang on them. */
  async choose(reference, size = null) {
    if (!reference) {
      this.box.value = this.encoder || this.last;
      return;
    }
    this.last = reference;
    this.box.value = reference;
    this.say(null);
    const [facts, problem] = await factsOf(reference, this.signal).then((found) => [found, null], (error) => [null, error]);
    if (this.signal.aborted || reference !== this.encoder) return; // the page was left, or another one chosen since
    this.facts = facts;
    if (facts) this.#offerSizes(size);
    else this.say(problem);
    this.onchange(this);
  }

  #offerSizes(size) {
    const { patch_size: patch, size: own } = this.facts;
    const sizes = new Set([own, ...GRIDS.map((count) => count * patch), ...(size ? [size] : [])]);
    const offered = [...sizes].filter((one) => one <= MAX_SIZE && one % patch === 0).sort((a, b) => a - b);
    const chosen = size ?? Math.max(own, CLEAR * patch);
    this.size.replaceChildren(...offered.map((one) =>
      h("option", { value: one, selected: one === chosen }, `${one} px: ${one / patch} × ${one / patch}`)));
  }

  /** Say what went wrong here, with a button to try again where that may help; null: nothing did. */
  say(error, retry = null) {
    const again = retry && h("button", { type: "button", class: "small", onclick: retry }, "Try again");
    this.problem.replaceChildren(...(error ? [h("p", {}, error.message), again].filter(Boolean) : []));
    if (error) this.box.input.setAttribute("aria-invalid", "true");
    else this.box.input.removeAttribute("aria-invalid");
  }

  /** Keep what the service found, and offer it as a file. */
  take(found) {
    this.found = found;
    URL.revokeObjectURL(this.download.href);
    this.download.href = URL.createObjectURL(found.file);
    this.download.download = `${this.encoder.replace(/[^\w.-]+/g, "_")}-${this.pixels}.safetensors`;
    this.download.hidden = false;
  }

  /** Show and offer nothing: what is there is of another encoder. */
  clear() {
    this.pca.clear();
    this.heat.clear();
    this.legend.replaceChildren();
    this.download.hidden = true;
    this.shown = null;
  }

  /** The command that asks the service for the same. */
  command() {
    const fields = [`images=@${this.fileName || "cat.jpg"}`, `encoder=${this.encoder}`, `size=${this.pixels}`];
    const parts = fields.map((field) => `-F ${quoted(field)}`).join(" ");
    return `curl -s ${location.origin}/embed ${parts} -o ${this.download.download || "features.safetensors"}`;
  }
}
