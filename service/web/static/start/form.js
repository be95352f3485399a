// The form of one kind of job.
import { post, request } from "../api.js";
import { h } from "../dom.js";
import { costs, preview } from "./aside.js";
import { Fields } from "./fields.js";
import { layout } from "./layout.js";
import { fieldsOf } from "./schema.js";
import { same } from "./values.js";

export const KINDS = {
  train: { label: "Train", path: "/train", first: ["dataset", "encoder", "name"], left: ["preset", "dry_run"], dry: true },
  evaluate: { label: "Evaluate", path: "/evaluate", first: ["encoders", "dataset", "name"], left: [] },
  embed: { label: "Embed a folder", path: "/embed", first: ["encoder", "dataset", "name"], left: ["images"] },
};

export class StartForm {
  /** `presets` only of a training. */
  constructor(kind, document, presets, signal) {
    Object.assign(this, KINDS[kind], { presets, signal });
    this.tree = fieldsOf(document, this.path).filter(({ name }) => !this.left.includes(name));
    this.tree.find(({ name }) => name === "dataset").required = true; // of a job it is
    this.fields = new Fields(this.tree, () => this.changed());
    this.preview = preview(this.path);
    this.summary = h("div", { class: "summary", role: "alert" });
    this.answer = h("div", { "aria-live": "polite" });
    this.button = h("button", { class: "primary" }, "Start the job");
    this.element = h("form", { class: "start", novalidate: true, onsubmit: (event) => this.submit(event) },
      this.summary,
      h("div", { class: "columns" },
        h("div", { class: "main" }, presets && this.#cards(), layout(this.tree, this.fields, this.first)),
        // The buttons come first: below, they would slip from under the pointer as the preview grows.
        h("aside", { class: "card" }, this.#buttons(), this.answer, this.preview.element)));
    this.setPreset(presets?.find((one) => one.default).name);
  }

  #cards() {
    this.radios = this.presets.map(({ name }) =>
      h("input", { type: "radio", name: "preset", value: name, onchange: () => this.setPreset(name) }));
    return h("fieldset", { class: "presets" }, h("legend", {}, "Preset"), this.presets.map(({ about }, i) =>
      h("label", { class: "card" }, this.radios[i], h("span", {}, h("b", {}, this.radios[i].value), h("small", {}, about)))));
  }

  #buttons() {
    const dry = this.dry && h("button", { type: "button", onclick: () => this.dryRun() }, "What will it take?");
    return h("div", { class: "go" }, this.button, dry);
  }

  setPreset(name) {
    this.preset = name;
    const chosen = this.presets?.find((one) => one.name === name);
    this.radios?.forEach((radio) => (radio.checked = radio.value === name));
    this.fields.setBase(chosen?.settings ?? {});
    this.changed();
  }

  fill(settings) {
    this.fields.write(settings);
    this.changed();
  }

  changed() {
    this.answer.replaceChildren();
    this.preview.show(this.body());
  }

  body() {
    return { ...(this.preset && { preset: this.preset }), ...this.fields.read() };
  }

  async dryRun() {
    await this.#send(async () => {
      const body = this.body();
      const answer = await post(this.path, { ...body, dry_run: true }, { signal: this.signal });
      // Costs of settings that were changed meanwhile would pass for those of the present ones.
      if (same(body, this.body())) this.answer.replaceChildren(costs(answer));
    });
  }

  async submit(event) {
    event.preventDefault();
    await this.#send(async () => {
      const body = this.body();
      const response = await request("POST", this.path, { body, headers: { "Idempotency-Key": this.#key(body) } });
      location.hash = `#/jobs/${(await response.json()).id}`;
    });
  }

  /** The same for the same request: pressed twice, or sent again after no answer, it makes one job. */
  #key(body) {
    const text = JSON.stringify(body);
    if (text !== this.keyed) {
      this.keyed = text;
      this.key = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
    }
    return this.key;
  }

  async #send(work) {
    if (this.sending || !this.#ok(this.fields.check())) return;
    this.sending = true;
    this.button.disabled = true;
    try {
      await work();
    } catch (error) {
      if (!this.signal.aborted) this.#ok(error.errors?.length ? error.errors : [{ field: "", message: error.message }]);
    } finally {
      this.sending = false;
      this.button.disabled = false;
    }
  }

  /** Show what is wrong, beside the fields and above them; true if nothing is. */
  #ok(errors) {
    const found = this.fields.say(errors);
    const items = found.map(([{ field, message }, row]) => {
      const text = field ? `${field}: ${message}` : message;
      return h("li", {}, row ? h("button", { type: "button", class: "link", onclick: () => row.focus() }, text) : text);
    });
    const count = items.length === 1 ? "One thing" : `${items.length} things`;
    this.summary.replaceChildren(...(items.length ? [h("h2", {}, `${count} to look at`), h("ul", {}, items)] : []));
    const first = found.find(([, row]) => row);
    if (first) first[1].focus();
    else if (items.length) this.summary.scrollIntoView({ block: "center" });
    return !items.length;
  }
}
