// The numbers beside the maps.
import { h, number } from "../dom.js";

/** A table with a column for each encoder: rows of [label, explanation, value of A, value of B]. */
function table(caption, rows) {
  return h("table", {},
    h("caption", {}, caption),
    h("thead", {}, h("tr", {}, h("td"), h("th", { scope: "col" }, "A"), h("th", { scope: "col" }, "B"))),
    h("tbody", {}, rows.map(([label, title, ...values]) =>
      h("tr", {}, h("th", { scope: "row", title }, label), values.map((value) => h("td", {}, value))))));
}

/** What the chosen patch is like: `stats` of A and of B, see similarity.js. */
export function patchTable(place, threshold, stats) {
  const row = (label, title, key, show) => [label, title, ...stats.map((one) => (one ? show(one[key]) : "–"))];
  return table(`Patch in row ${place.row + 1}, column ${place.column + 1}`, [
    row("mean similarity", "of the chosen patch to all, by cosine", "mean", number),
    row("contrast", "95th percentile minus median", "contrast", number),
    row(`share above ${number(threshold)}`, "of patches more alike than the threshold", "share", percent),
  ]);
}

/** What holds for the picture as a whole: the analyses of A and of B. */
export function pictureTable(sides, cka, milliseconds) {
  const row = (label, title, show) => [label, title, ...sides.map((one) => (one ? show(one) : "–"))];
  return h("div", {},
    table("Picture", [
      row("grid", "rows × columns of patches", ({ grid }) => grid.join(" × ")),
      row("dimension", "length of a patch token", ({ dim }) => dim),
      row("shown by colours", "share of the variance in three components", ({ share }) =>
        percent(share.reduce((sum, one) => sum + one, 0))),
      row("waited", "for its turn", ({ queueSeconds }) => `${Math.round(queueSeconds * 1000)} ms`),
      row("inference", "of the encoder", ({ inferenceSeconds }) => `${Math.round(inferenceSeconds * 1000)} ms`),
    ]),
    h("p", {}, h("b", {}, "CKA of A and B "), cka == null ? "–" : number(cka),
      h("span", { class: "muted" }, ` · maps after ${Math.round(milliseconds)} ms`)));
}

function percent(share) {
  return `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
}
