// Tables whose rows stay in place while their contents change, so that focus and selection stay.
import { h } from "./dom.js";

// On a phone rows are laid out as cards, after which browsers forget that they were a table.
const ROLES = {
  table: "table",
  thead: "rowgroup",
  tbody: "rowgroup",
  tr: "row",
  th: "columnheader",
  td: "cell",
};
const part = (tag, attributes, ...children) => h(tag, { role: ROLES[tag], ...attributes }, ...children);

/**
 * A table of `columns`: {label, cell(item) -> children, sign?(item), class?, phone?}.
 *
 * `sign` is a text that changes whenever the cell does (default: the item as JSON); a cell whose
 * sign stays is left alone. `phone` is the label before the cell on a phone, where headings are not
 * shown. Returns {element, update(items)}; items are told apart by `key`.
 */
export function table({ label, columns, key }) {
  const head = part(
    "tr",
    {},
    columns.map((column) =>
      part(
        "th",
        { scope: "col", class: column.class },
        column.hidden ? h("span", { class: "sr-only" }, column.label) : column.label,
      ),
    ),
  );
  const body = part("tbody");
  const element = part("table", { class: "table stack", "aria-label": label }, part("thead", {}, head), body);
  const rows = new Map();

  function update(items) {
    const keys = new Set(items.map(key));
    for (const [known, row] of rows) {
      if (keys.has(known)) continue;
      row.element.remove();
      rows.delete(known);
    }
    items.forEach((item, index) => {
      const row = rows.get(key(item)) ?? makeRow(columns);
      rows.set(key(item), row);
      row.update(item);
      if (body.children[index] !== row.element) body.insertBefore(row.element, body.children[index] ?? null);
    });
  }

  return { element, update };
}

function makeRow(columns) {
  const cells = columns.map((column) => part("td", { class: column.class, "data-label": column.phone }));
  const signs = [];
  const element = part("tr", {}, cells);
  function update(item) {
    const whole = JSON.stringify(item);
    columns.forEach((column, index) => {
      const sign = column.sign ? String(column.sign(item)) : whole;
      if (signs[index] === sign) return;
      signs[index] = sign;
      refill(cells[index], column.cell(item));
    });
  }
  return { element, update };
}

/** Replace what an element holds; a focus within goes to what now has the same name, one of its own stays. */
export function refill(element, children) {
  const focused = document.activeElement;
  const active = focused !== element && element.contains(focused) ? focused : null;
  const name = active?.getAttribute("aria-label") || active?.textContent;
  element.replaceChildren(...[children].flat(Infinity).filter((child) => child != null && child !== false));
  if (!active) return;
  const all = [...element.querySelectorAll("a, button, input, select")];
  const next = all.find((one) => (one.getAttribute("aria-label") || one.textContent) === name) ?? all[0];
  (next ?? element.closest("tr")?.querySelector("a") ?? document.getElementById("main"))?.focus();
}
