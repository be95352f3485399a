// The fields of a form, with labels, help and what is wrong with them.
import { h } from "../dom.js";
import { control } from "./controls.js";
import { getAt, same, setAt } from "./values.js";
import { leaves } from "./schema.js";

const SOURCES = { P: "the PaKA paper, arXiv 2509.05606", N: "the recipe of NeCo, arXiv 2408.11054", L: "LightlyTrain's implementation" };

export class Fields {
  /** `tree` from schema.js; `onchange` after every change. */
  constructor(tree, onchange) {
    this.rows = leaves(tree).map((field) => new Row(field, onchange));
    this.byName = new Map(this.rows.map((row) => [row.field.name, row]));
    this.base = {};
  }

  /** What holds where nothing is given. */
  setBase(base) {
    this.base = base;
    for (const row of this.rows) row.control.hint(this.baseOf(row));
  }

  baseOf({ field }) {
    return getAt(this.base, field.path) ?? field.fallback;
  }

  /** What was given and differs from what holds anyway. */
  read() {
    const given = {};
    for (const row of this.rows) {
      const value = row.control.read();
      if (value !== undefined && (row.field.required || !same(value, this.baseOf(row)))) setAt(given, row.field.path, value);
    }
    return given;
  }

  /** Fill in settings, as far as they differ from what holds anyway. */
  write(settings) {
    for (const row of this.rows) {
      const value = getAt(settings, row.field.path);
      row.control.write(same(value, this.baseOf(row)) && !row.field.required ? undefined : value);
    }
  }

  /** What the browser itself finds wrong: [{field, message}]. */
  check() {
    return this.rows.flatMap((row) => {
      const bad = row.control.inputs.find((input) => !input.checkValidity());
      return bad ? [{ field: row.field.name, message: bad.validationMessage }] : [];
    });
  }

  /** Show errors beside their fields; returns [error, row or null if there is no such field]. */
  say(errors) {
    for (const row of this.rows) row.say(null);
    return errors.map((error) => {
      const parts = error.field.split(".");
      while (parts.length && !this.byName.has(parts.join("."))) parts.pop();
      const row = this.byName.get(parts.join(".")) ?? null;
      row?.say(error.message);
      return [error, row];
    });
  }
}

class Row {
  constructor(field, onchange) {
    this.field = field;
    const id = `field-${field.name.replaceAll(".", "-")}`;
    const described = `${id}-help ${id}-problem`;
    this.control = control(field, { id, "aria-describedby": described, required: field.required }, onchange);
    this.problem = h("p", { id: `${id}-problem`, class: "problem" });
    this.element = h("div", { class: `field kind-${field.kind}`, oninput: onchange, onchange },
      h("label", { for: id }, field.label, field.required && h("span", { class: "muted" }, " (needed)")),
      h("div", { class: "input" }, this.control.element, field.unit && h("span", { class: "unit muted" }, field.unit)),
      this.problem,
      h("p", { id: `${id}-help`, class: "help muted" }, prose(field.help)));
  }

  say(message) {
    this.problem.textContent = message ?? "";
    for (const input of this.control.inputs) {
      if (message) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    }
  }

  /** Bring the field into view, whatever it is folded into. */
  focus() {
    for (let at = this.element; at; at = at.parentElement?.closest("details")) if (at.tagName === "DETAILS") at.open = true;
    this.control.inputs[0].focus();
  }
}

/** Text of a description: `code`, and [P] for where a value is from. */
export function prose(text) {
  return text.split(/(`[^`]+`|\[[PNL](?:, (?:sizes )?[PNL])*\])/).map((part) => {
    if (part.startsWith("`")) return h("code", {}, part.slice(1, -1));
    const marks = /^\[(.+)\]$/.exec(part);
    if (!marks) return part;
    return h("abbr", { title: marks[1].split(", ").map((mark) => mark.replace(/[PNL]$/, (letter) => SOURCES[letter])).join("; ") }, part);
  });
}
