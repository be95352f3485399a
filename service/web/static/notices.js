// What the page says by itself: short confirmations, and that the service is away.
import { h } from "./dom.js";

const SECONDS = 6;
const places = new Map();

function place(name, attributes) {
  if (!places.has(name)) {
    places.set(name, h("div", { class: name, ...attributes }));
    document.body.append(places.get(name));
  }
  return places.get(name);
}

/** Say something that needs no answer; screen readers read it when they are free. */
export function say(text) {
  show(text, "notice");
}

/** Say what went wrong with something that the user just did; to leave its page is no fault. */
export function complain(error) {
  if (error.name === "AbortError") return;
  show(error.message, "notice bad");
}

function show(text, kind) {
  const notices = place("notices", { role: "status", "aria-live": "polite" });
  const notice = h("p", { class: kind }, text);
  notices.replaceChildren(notice);
  setTimeout(() => notice.remove(), SECONDS * 1000);
}

/** Show that the service does not answer, until it does: away(null). */
export function away(error) {
  const banner = place("away", { role: "status", "aria-live": "polite" });
  const text = error ? `${error.message} Trying again; what you see may be out of date.` : "";
  if (banner.textContent !== text) banner.textContent = text;
}

/** Prepare the live regions: those that appear together with their text are not read out. */
export function prepareNotices() {
  show("", "notice");
  away(null);
}
