import { get } from "../api.js";
import { ago, h } from "../dom.js";

export const title = "Jobs";

export async function show(root, { signal }) {
  const { data } = await get("/jobs", { signal });
  root.append(
    h("h1", {}, title),
    h("ul", {}, data.map((job) => h("li", {}, job.name ?? job.id, " ", job.status, " ", ago(job.created_at)))),
  );
}
