// An input for each kind of field. A control has `element`, `inputs`, `read()` (undefined: nothing
// given), `write(value)` and `hint(base)`, which shows what holds if nothing is given.
import { h } from "../dom.js";
import { EncoderBox } from "../encoder-box.js";
import { written } from "./values.js";

const list = (text) => text.split(",").map((part) => part.trim()).filter(Boolean);

function textInput(attributes, toValue, toText = written) {
  const input = h("input", { type: "text", autocomplete: "off", ...attributes });
  return {
    element: input,
    inputs: [input],
    read: () => (input.value.trim() ? toValue(input.value.trim()) : undefined),
    write: (value) => (input.value = value == null ? "" : toText(value)),
    hint: (base) => (input.placeholder = base == null ? "" : toText(base)),
  };
}

function numberInput({ min, max, step }, attributes) {
  return textInput({ type: "number", inputmode: "decimal", min, max, step, ...attributes }, Number, String);
}

/** A number; where "none" is possible and not what holds anyway, a box to tick. */
function number(field, attributes) {
  const plain = numberInput(field, attributes);
  if (!field.nullable) return plain;
  const box = h("input", { type: "checkbox", onchange: () => (plain.element.disabled = box.checked) });
  const none = h("label", { class: "none" }, box, "none");
  return {
    ...plain,
    element: h("span", { class: "pair" }, plain.element, none),
    inputs: [plain.element, box],
    read: () => (box.checked ? null : plain.read()),
    write: (value) => {
      box.checked = value === null;
      plain.element.disabled = box.checked;
      plain.write(value);
    },
    hint: (base) => {
      plain.hint(base);
      none.hidden = base == null;
    },
  };
}

function range(field, attributes) {
  const ends = [numberInput(field, attributes), numberInput(field, { "aria-label": `${field.label}, upper end` })];
  let base;
  return {
    element: h("span", { class: "pair" }, ends[0].element, h("span", {}, "to"), ends[1].element),
    inputs: ends.map((end) => end.element),
    read: () => {
      const given = ends.map((end) => end.read());
      return given.every((end) => end === undefined) ? undefined : given.map((end, i) => end ?? base?.[i]);
    },
    write: (value) => ends.forEach((end, i) => end.write(value?.[i])),
    hint: (value) => {
      base = value;
      ends.forEach((end, i) => end.hint(value?.[i]));
    },
  };
}

function choice(attributes, options) {
  const first = h("option", { value: "" });
  const select = h("select", attributes, first, options.map(([value, label]) => h("option", { value: JSON.stringify(value) }, label)));
  return {
    element: select,
    inputs: [select],
    read: () => (select.value ? JSON.parse(select.value) : undefined),
    write: (value) => (select.value = value == null ? "" : JSON.stringify(value)),
    hint: (base) => (first.textContent = `default: ${written(base)}`),
  };
}

function choices(field, attributes) {
  const boxes = field.choices.map((value) => h("input", { type: "checkbox", value }));
  const tick = (values) => boxes.forEach((box) => (box.checked = values.includes(box.value)));
  const { id, ...rest } = attributes;
  boxes[0].id = id;
  let base = [];
  return {
    element: h("span", { class: "boxes", role: "group", "aria-label": field.label, ...rest },
      boxes.map((box) => h("label", {}, box, box.value.replaceAll("_", " ")))),
    inputs: boxes,
    read: () => boxes.filter((box) => box.checked).map((box) => box.value),
    write: (value) => tick(value ?? base),
    hint: (value) => {
      base = value ?? [];
      tick(base);
    },
  };
}

function encoder(field, attributes, onchange) {
  const box = new EncoderBox({ ...attributes, onchange });
  return {
    element: box.element,
    inputs: [box.input],
    read: () => box.value || undefined,
    write: (value) => (box.value = value == null ? "" : written(value)),
    hint: (base) => (box.input.placeholder = base == null ? "" : written(base)),
  };
}

/** Several encoders: a box for each, and one to add. */
function encoders(field, attributes, onchange) {
  const rows = h("span", { class: "rows" });
  const boxes = [];
  const add = (value = "") => {
    const label = `Encoder ${boxes.length + 1}`;
    const box = new EncoderBox(boxes.length ? { "aria-label": label, onchange } : { ...attributes, onchange });
    box.value = value;
    boxes.push(box);
    rows.append(box.element);
  };
  const more = h("button", { type: "button", class: "small", onclick: () => add() }, "One more encoder");
  add();
  add();
  return {
    element: h("span", { class: "rows" }, rows, more),
    get inputs() {
      return boxes.map((box) => box.input);
    },
    read: () => {
      const given = boxes.map((box) => box.value).filter(Boolean);
      return given.length ? given : undefined;
    },
    write: (values = []) => {
      while (boxes.length < values.length) add();
      boxes.forEach((box, i) => (box.value = values[i] ? written(values[i]) : ""));
    },
    hint: () => {},
  };
}

const sizeOf = (text) => {
  const sides = text.split(/[,x×]/).map(Number);
  return sides.length === 1 ? sides[0] : sides;
};

const KINDS = {
  number, range, choices, encoder, encoders,
  choice: (field, attributes) => choice(attributes, field.choices.map((one) => [one, one])),
  boolean: (field, attributes) => choice(attributes, [[true, "yes"], [false, "no"]]),
  text: ({ maxLength }, attributes) => textInput({ maxlength: maxLength, ...attributes }, String),
  dataset: (field, attributes) => textInput({ list: "datasets", spellcheck: "false", ...attributes }, String),
  numbers: (field, attributes) =>
    textInput({ pattern: "\\s*-?\\d+(\\s*,\\s*-?\\d+)*\\s*", title: "whole numbers, with commas", ...attributes }, (text) => list(text).map(Number)),
  texts: (field, attributes) => textInput({ title: "with commas", ...attributes }, list),
  size: (field, attributes) =>
    textInput({ pattern: "\\d+(\\s*[,x×]\\s*\\d+)?", title: "448, or height x width: 448 x 672", ...attributes }, sizeOf),
};

/** The control of a field; `onchange` after what the inputs themselves do not tell of. */
export function control(field, attributes, onchange) {
  return KINDS[field.kind](field, attributes, onchange);
}
