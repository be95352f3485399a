// A combobox (WAI-ARIA 1.2, with list autocomplete) for an encoder; any reference can be typed.
import { h } from "./dom.js";
import { searchEncoders, suggestedEncoders } from "./encoders.js";

const PAUSE_MS = 150; // of typing, before the server is asked

let suggested; // by all boxes of a page
let number = 0;

/** Forget the suggestions; a page does so when it is shown. */
export function refreshSuggestions(signal) {
  suggested = suggestedEncoders(signal);
  suggested.catch(() => {}); // whoever asks for them hears of it
  return suggested;
}

export class EncoderBox {
  /** `attributes` of the input; `onchange(value)` when the user has chosen. */
  constructor({ onchange = () => {}, ...attributes }) {
    const list = `encoders-${++number}`;
    this.onchange = onchange;
    this.input = h("input", {
      type: "text", role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list,
      autocomplete: "off", autocapitalize: "none", spellcheck: "false", ...attributes,
    });
    this.list = h("ul", { id: list, role: "listbox", "aria-label": "Encoders", hidden: true });
    this.element = h("div", { class: "encoder-box" }, this.input, this.list);
    this.options = [];
    this.chosen = { value: "", label: "" }; // kept whole: of what a search found, suggestions do not tell the value
    this.input.addEventListener("input", () => this.#typed());
    this.input.addEventListener("keydown", (event) => this.#key(event));
    this.input.addEventListener("click", () => this.#open(""));
    this.input.addEventListener("focusout", () => this.#leave());
    this.list.addEventListener("pointerdown", (event) => event.preventDefault()); // keeps the focus
    this.list.addEventListener("click", (event) => this.#take(this.options[event.target.closest("li")?.dataset.index]));
  }

  get value() {
    return this.chosen.value;
  }

  /** Shows a reference, by its name if it has one. */
  set value(value) {
    this.#show(value === this.value ? this.chosen : { value, label: value });
    suggested?.then((all) => {
      const known = all.find((one) => one.value === value);
      if (known && this.value === value) this.#show(known);
    }, () => {});
  }

  #show(option) {
    this.chosen = option;
    this.input.value = option.label;
  }

  #typed() {
    clearTimeout(this.pause);
    this.pause = setTimeout(() => this.#open(this.input.value.trim()), PAUSE_MS);
  }

  /** Show what fits a text; "" shows all that is suggested. */
  async #open(text) {
    const turn = (this.turn = {});
    const lower = text.toLowerCase();
    const fits = (one) => `${one.label} ${one.value}`.toLowerCase().includes(lower);
    const known = (await suggested.catch(() => [])).filter(fits);
    const found = text ? await searchEncoders(text).catch(() => []) : [];
    if (turn !== this.turn || document.activeElement !== this.input) return;
    const seen = new Set(known.map((one) => one.value));
    this.options = [...known, ...found.filter((one) => !seen.has(one.value))];
    this.list.replaceChildren(...this.options.map((one, index) =>
      h("li", { id: `${this.list.id}-${index}`, role: "option", "aria-selected": "false", "data-index": index },
        h("span", {}, one.label), h("small", {}, one.note))));
    this.#mark(-1);
    this.#expand(this.options.length > 0);
  }

  #expand(open) {
    this.list.hidden = !open;
    this.input.setAttribute("aria-expanded", String(open));
  }

  #mark(index) {
    this.active = index;
    [...this.list.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === index)));
    if (index < 0) this.input.removeAttribute("aria-activedescendant");
    else {
      this.input.setAttribute("aria-activedescendant", `${this.list.id}-${index}`);
      this.list.children[index].scrollIntoView({ block: "nearest" });
    }
  }

  #key(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in steps) {
      event.preventDefault();
      if (this.list.hidden) this.#open("");
      else this.#mark((this.active + steps[event.key] + this.options.length) % this.options.length);
    } else if (event.key === "Enter") {
      event.preventDefault(); // chooses, and does not send a form
      if (!this.list.hidden && this.active >= 0) this.#take(this.options[this.active]);
      else this.#accept();
    } else if (event.key === "Escape" && !this.list.hidden) {
      event.preventDefault();
      this.#close();
    }
  }

  #leave() {
    this.#accept();
  }

  /** What stands in the field holds: the name of an option, or a reference. */
  #accept() {
    const text = this.input.value.trim();
    this.#close();
    if (text === this.chosen.label) return;
    const found = this.options;
    suggested.catch(() => []).then((all) => {
      const known = [...all, ...found].find((one) => one.label === text);
      this.#take(known ?? { value: text, label: text });
    });
  }

  #take(option) {
    if (!option) return;
    this.#close();
    const before = this.value;
    this.#show(option);
    if (option.value !== before) this.onchange(option.value);
  }

  #close() {
    clearTimeout(this.pause);
    this.turn = null;
    this.#expand(false);
  }
}
