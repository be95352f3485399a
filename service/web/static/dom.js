// Making elements, and writing values as people read them.

/**
 * Make an element: h("a", {href: "#/jobs", class: "button", onclick: …}, "Jobs", child, …).
 * Functions become listeners; true and false set and leave out; null children are left out.
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return element;
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child != null));
  return element;
}

/** 1536 -> "1.5 kB" in powers of 1000, as disks are sold. */
export function bytes(count) {
  if (count == null) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  // What is rounded to 1000 of a unit is 1 of the next.
  while (Math.round(count) >= 1000 && unit < units.length - 1) {
    count /= 1000;
    unit += 1;
  }
  return `${count.toFixed(unit && count < 9.95 ? 1 : 0)} ${units[unit]}`;
}

/** 3725 -> "1 h 2 min"; clocks that differ make no less than 0 of it. */
export function duration(seconds) {
  if (seconds == null || !Number.isFinite(seconds)) return "–";
  const whole = Math.max(Math.round(seconds), 0);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  const hours = Math.round(seconds / 3600);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** A <time> that says how long ago, and exactly when on hover. */
export function ago(text) {
  if (!text) return h("span", {}, "–");
  const then = new Date(text);
  const seconds = (Date.now() - then) / 1000;
  const words = seconds < 5 ? "just now" : `${duration(seconds)} ago`;
  return h("time", { datetime: text, title: then.toLocaleString() }, words);
}

/** A number in few digits: 0.03125 -> "0.0313", 1234.5 -> "1,235". */
export function number(value, digits = 3) {
  if (value == null || !Number.isFinite(value)) return "–";
  const few =
    Math.abs(value) >= 10 ** digits ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: digits };
  return value.toLocaleString("en", few);
}
