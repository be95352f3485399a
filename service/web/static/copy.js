// A button that copies a text, and commands that are worth copying.
import { h } from "./dom.js";
import { me } from "./session.js";

/** `text()` is asked when the button is pressed. */
export function copyButton(label, text) {
  const button = h("button", { type: "button", class: "small" }, label);
  button.addEventListener("click", async () => {
    button.textContent = (await copy(text())) ? "Copied" : "Could not copy";
    setTimeout(() => (button.textContent = label), 1500);
  });
  return button;
}

async function copy(text) {
  // Browsers offer the first way on https and on this machine only.
  if (navigator.clipboard) return navigator.clipboard.writeText(text).then(() => true, () => false);
  const area = h("textarea", {}, text);
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

/** A command that asks the service, with a key where it needs one; `json` is the text of a body. */
export async function curlTo(path, json) {
  const { key } = await me();
  return [
    `curl -s ${location.origin}${path}`,
    key && '-H "Authorization: Bearer $PAKA_KEY"',
    json && `-H 'Content-Type: application/json'`,
    json && `-d ${quoted(json)}`,
  ]
    .filter(Boolean)
    .join(" \\\n     ");
}

/** A word of a shell's command line. */
export function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
