// What a job left behind to be downloaded: checkpoints of a training, features of an embedding.
import { get } from "../api.js";
import { ago, bytes, h } from "../dom.js";
import { icon } from "../icons.js";
import { refill } from "../table.js";

/** {element, ask(job) -> checkpoints}. */
export function files(signal) {
  const list = h("ul", { class: "plain files" });
  const title = h("h2");
  const element = h("section", { class: "card", hidden: true }, title, list);
  let sign = "";

  function show(heading, items) {
    element.hidden = !items.length;
    title.textContent = heading;
    const next = items.map((item) => item.textContent).join();
    if (next === sign) return;
    sign = next;
    refill(list, items);
  }

  async function ask(job) {
    if (job.kind === "embed") return askForFeatures(job);
    if (!job.links.checkpoints) return [];
    const { data } = await get(job.links.checkpoints, { signal });
    show("Checkpoints", data.map(checkpoint).reverse());
    return data;
  }

  async function askForFeatures(job) {
    if (job.status !== "succeeded" || sign) return [];
    const index = await get(job.links.features, { signal });
    show("Features", [
      ...index.shards.map(({ file, images }) =>
        item(`${job.links.features}/${file}`, file, `${images.length.toLocaleString("en")} images`),
      ),
      item(`${job.links.features}/index.json`, "index.json", "which image is where"),
    ]);
    return [];
  }

  return { element, ask };
}

function checkpoint({ step, created_at: created, files: parts, encoder }) {
  return item(encoder, `Step ${step.toLocaleString("en")}`, [
    ago(created),
    ` · ${bytes(parts["encoder.safetensors"]?.bytes)}`,
  ]);
}

function item(href, name, about) {
  return h(
    "li",
    {},
    h("span", {}, h("strong", {}, name), h("span", { class: "muted small" }, " ", about)),
    h(
      "a",
      {
        class: "button quiet square",
        href,
        download: "",
        "aria-label": `Download ${name}`,
        title: "Download",
      },
      icon("download"),
    ),
  );
}
