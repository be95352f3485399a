// Which address shows which page. A page is a module with
//   title                               what the tab says, or a function of `params`
//   async show(root, {params, query, signal})   fills `root`; `signal` aborts when it is left
import { h } from "./dom.js";

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

let leaving = new AbortController();

async function route() {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const [path, query = ""] = (location.hash.slice(1) || "/jobs").split("?");
  const main = document.getElementById("main");
  const found = ROUTES.map(([pattern, page]) => ({ page, match: pattern.exec(path) })).find((one) => one.match);
  markCurrent(path);
  if (!found) {
    main.replaceChildren(h("h1", {}, "No such page"), h("p", {}, h("a", { href: "#/jobs" }, "To the jobs")));
    return;
  }
  const params = found.match.groups ?? {};
  try {
    const page = await import(`./pages/${found.page}.js`);
    if (signal.aborted) return;
    const title = typeof page.title === "function" ? page.title(params) : page.title;
    document.title = `${title} · PaKA Service`;
    const root = h("div", { class: `page page-${found.page}` });
    main.replaceChildren(root);
    main.focus({ preventScroll: true });
    await page.show(root, { params, query: new URLSearchParams(query), signal });
  } catch (error) {
    if (!signal.aborted) main.replaceChildren(h("p", { class: "problem", role: "alert" }, error.message));
  }
}

function markCurrent(path) {
  for (const link of document.querySelectorAll("header nav a")) {
    const here = path.startsWith(link.getAttribute("href").slice(1)) || (path === "/" && link.hash === "#/jobs");
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

addEventListener("hashchange", route);
route();
