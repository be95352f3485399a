// Who looks at the page, and signing in on a server that asks for keys.
import { get, remove, request } from "./api.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { complain } from "./notices.js";

let known = null;

/** {name, role, key} of whoever is signed in; `key` is null on a server that asks for none. */
export async function me() {
  known ??= await get("/me");
  return known;
}

/** Whether they may submit jobs. */
export const maySubmit = (user) => user.role !== "viewer";

/** Whether they may change a job or a data set. */
export const mayChange = (user, thing) =>
  user.role === "admin" || (user.role === "member" && thing.user === user.name);

/** Fill the frame's corner: who is signed in, and a way out. */
export function showUser(corner) {
  if (!known?.key) {
    corner.replaceChildren();
    return;
  }
  const out = h(
    "button",
    { class: "quiet", title: "Sign out", "aria-label": `Sign out ${known.name}`, onclick: signOut },
    h("span", {}, known.name),
    icon("out"),
  );
  corner.replaceChildren(out);
}

async function signOut() {
  try {
    await remove("/session");
  } catch (error) {
    // The browser still has the cookie: who saw the form would believe that they were signed out.
    if (error.status !== 401) complain(error);
    return;
  }
  known = null;
  dispatchEvent(new CustomEvent("signed-out"));
}

/** Show the form into `root`; `done` is called when a key was accepted. */
export function showSignIn(root, done) {
  known = null;
  const key = h("input", {
    id: "key",
    name: "key",
    type: "password",
    autocomplete: "current-password",
    required: true,
    spellcheck: "false",
    placeholder: "paka_…",
    "aria-describedby": "key-help key-error",
  });
  const error = h("p", { id: "key-error", class: "problem", role: "alert" });
  const button = h("button", { class: "primary" }, "Sign in");
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    error.textContent = "";
    try {
      await request("POST", "/session", {
        headers: { Authorization: `Bearer ${key.value.replace(/[^\x21-\x7e]/g, "")}` },
      });
      done();
    } catch (refused) {
      error.textContent =
        refused.status === 401
          ? "This key does not work. Check it, or ask an admin for a new one."
          : refused.message;
      key.setAttribute("aria-invalid", "true");
      key.focus();
    } finally {
      button.disabled = false;
    }
  };
  root.replaceChildren(
    h(
      "form",
      { class: "card sign-in", onsubmit: submit },
      h("h1", {}, "Sign in"),
      h("label", { for: "key" }, "Your key"),
      key,
      h(
        "p",
        { id: "key-help", class: "muted" },
        "An admin makes it with ",
        h("code", {}, "paka-server user add NAME"),
        ". This browser keeps it for 30 days, out of reach of scripts.",
      ),
      error,
      button,
    ),
  );
  key.focus();
}
