// Which address shows which page. A page is a module with
//   title                               what the tab says
//   async show(root, {params, query, signal})   fills `root`; `signal` aborts when it is left
import { h } from "./dom.js";
import { away, prepareNotices } from "./notices.js";
import { maySubmit, me, showSignIn, showUser } from "./session.js";

const ROUTES = [
  [/^\/(?:jobs)?$/, "jobs"],
  [/^\/jobs\/(?<id>job_\w+)$/, "job"],
  [/^\/compare$/, "compare"],
  [/^\/encoders$/, "encoders"],
  [/^\/datasets$/, "datasets"],
  [/^\/cluster$/, "cluster"],
  [/^\/start$/, "start"],
  [/^\/explore$/, "explore"],
];

const main = document.getElementById("main");
let leaving = new AbortController();

async function route() {
  leave();
  leaving = new AbortController();
  const { signal } = leaving;
  const [path, query = ""] = (location.hash.slice(1) || "/jobs").split("?");
  const found = ROUTES.map(([pattern, page]) => ({ page, match: pattern.exec(path) })).find(
    (one) => one.match,
  );
  markCurrent(path);
  if (!found) {
    setTitle("No such page");
    main.replaceChildren(h("h1", {}, "No such page"), h("p", {}, h("a", { href: "#/jobs" }, "To the jobs")));
    return;
  }
  try {
    showFrame(await me());
    if (!signal.aborted) await open(found.page, found.match.groups ?? {}, query, signal);
  } catch (error) {
    if (!signal.aborted) fail(error);
  }
}

/** End what belongs to the page that is shown: its requests, its banner and its question. */
function leave() {
  leaving.abort();
  away(null);
  document.querySelector("dialog[open]")?.close();
}

async function open(name, params, query, signal) {
  const page = await import(`./pages/${name}.js`);
  if (signal.aborted) return;
  setTitle(page.title);
  const root = h("div", { class: `page page-${name}` });
  main.replaceChildren(root);
  main.focus({ preventScroll: true });
  scrollTo(0, 0);
  await page.show(root, { params, query: new URLSearchParams(query), signal });
}

function fail(error) {
  if (error.status === 401) return; // the sign-in form is there by now
  const again = h("button", { onclick: route }, "Try again");
  main.replaceChildren(
    h("div", { class: "card" }, h("p", { class: "problem", role: "alert" }, error.message), again),
  );
}

function setTitle(title) {
  document.title = `${title} · PaKA Service`;
}

function showFrame(user) {
  document.body.classList.remove("signed-out");
  document.querySelector(".corner .primary").hidden = !maySubmit(user);
  showUser(document.getElementById("user"));
}

function signIn() {
  if (document.body.classList.contains("signed-out")) return;
  leave();
  document.body.classList.add("signed-out");
  setTitle("Sign in");
  showSignIn(main, route);
}

function markCurrent(path) {
  for (const link of document.querySelectorAll("header nav a")) {
    const here =
      path.startsWith(link.getAttribute("href").slice(1)) || (path === "/" && link.hash === "#/jobs");
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

prepareNotices();
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // its address would be taken for that of a page
  main.focus();
});
addEventListener("hashchange", () => {
  if (!document.body.classList.contains("signed-out")) route();
});
addEventListener("signed-out", signIn);
route();
