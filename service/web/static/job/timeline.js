// What happened to a job, newest first: statuses, warnings, checkpoints.
import { ago, h } from "../dom.js";

const MAX_SHOWN = 200;

/** {element, add(event)}. */
export function timeline() {
  const list = h("ol", { class: "plain timeline" });
  const element = h("section", { class: "card", hidden: true }, h("h2", {}, "Events"), list);

  function add(event) {
    if (event.type === "metrics") return;
    element.hidden = false;
    list.prepend(
      h(
        "li",
        { class: event.level },
        h("span", {}, sentence(event)),
        " ",
        h("span", { class: "muted small" }, ago(event.time)),
      ),
    );
    if (list.children.length > MAX_SHOWN) list.lastChild.remove();
  }

  return { element, add };
}

function sentence({ type, message, step, attempt, data }) {
  if (type === "checkpoint") return `Checkpoint at step ${(step ?? 0).toLocaleString("en")}`;
  if (type === "message") return message;
  const cause =
    data?.cause && !["claimed", "finished", message].includes(data.cause)
      ? ` (${data.cause.replaceAll("_", " ")})`
      : "";
  const again = message === "running" && attempt > 1 ? `, attempt ${attempt}` : "";
  return `${message[0].toUpperCase()}${message.slice(1)}${again}${cause}`;
}
