// Questions in a dialog; the focus goes back when it closes.
import { h } from "./dom.js";

/** Ask whether to do something: resolves to true for yes. `danger` colours the answer. */
export function confirm({ title, text, yes, danger = false }) {
  return new Promise((resolve) => {
    const answer = h("button", { class: danger ? "danger" : "primary", value: "yes" }, yes);
    const dialog = open(
      title,
      [h("p", {}, text)],
      [h("button", { value: "", autofocus: true }, "Not now"), answer],
    );
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"));
  });
}

function open(title, content, buttons) {
  const before = document.activeElement;
  const dialog = h(
    "dialog",
    { "aria-labelledby": "dialog-title" },
    h(
      "form",
      { method: "dialog" },
      h("h2", { id: "dialog-title" }, title),
      content,
      h("div", { class: "buttons" }, buttons),
    ),
  );
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (before?.isConnected) before.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
