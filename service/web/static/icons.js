// A few line icons, drawn here: 16 pixels, in the colour of the text around them.
import { svg } from "./dom.js";

const PATHS = {
  stop: ["M8 2.2a5.8 5.8 0 1 0 0 11.6A5.8 5.8 0 0 0 8 2.2z", "M6 6h4v4H6z"],
  resume: ["M4.8 3v10l8.2-5z"],
  trash: ["M3 4.5h10", "M6.5 4.5V3h3v1.5", "M4.5 4.5l.6 8.5h5.8l.6-8.5", "M6.8 7v3.5M9.2 7v3.5"],
  pin: ["M6 2.5h4l-.5 4 2 2v1h-7v-1l2-2z", "M8 9.5V14"],
  edit: ["M3 13l.6-2.8L11 2.8l2.2 2.2-7.4 7.4z"],
  copy: ["M5.5 5.5h7v8h-7z", "M3.5 10.5v-8h7"],
  download: ["M8 2.5v7.5", "M4.8 7L8 10.2 11.2 7", "M3 13.5h10"],
  explore: ["M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9z", "M10.5 10.5l3 3"],
  upload: ["M8 10.5V3", "M4.8 6L8 2.8 11.2 6", "M3 13.5h10"],
  out: ["M6.5 2.5h-4v11h4", "M6 8h7.5", "M11 5.5L13.5 8 11 10.5"],
};

/** An icon that stands beside a text, or in a button that has a label of its own. */
export function icon(name) {
  return svg(
    "svg",
    { class: "icon", viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true" },
    PATHS[name].map((d) => svg("path", { d })),
  );
}
