// A square with the photograph, a map over it, and marks on patches.
import { h, svg } from "../dom.js";

const PHOTO_SIDE = 512;

export class Pane {
  /** `label` says what the map shows, for those who do not see it. */
  constructor(name, label) {
    this.photo = h("canvas", { class: "photo", width: PHOTO_SIDE, height: PHOTO_SIDE, "aria-hidden": "true" });
    this.map = h("canvas", { class: "map", width: 1, height: 1, role: "img", "aria-label": label });
    this.marks = svg("svg", { class: "marks", "aria-hidden": "true", preserveAspectRatio: "none" });
    this.element = h("div", { class: `pane ${name}` }, this.photo, this.map, this.marks);
    this.grid = [1, 1];
  }

  /** Show a map: pixels (RGBA) of a grid [h, w]. */
  draw(pixels, grid) {
    const [rows, columns] = grid;
    this.map.width = columns;
    this.map.height = rows;
    this.map.getContext("2d").putImageData(new ImageData(pixels, columns, rows), 0, 0);
    this.setGrid(grid);
  }

  setGrid([rows, columns]) {
    this.grid = [rows, columns];
    this.marks.setAttribute("viewBox", `0 0 ${columns} ${rows}`);
  }

  clear() {
    this.map.getContext("2d").clearRect(0, 0, this.map.width, this.map.height);
    this.marks.replaceChildren();
  }

  /** Outline the chosen patch, and those most like it; both by their index. */
  mark(chosen, alike = []) {
    this.marks.replaceChildren(
      ...alike.flatMap((index) => this.#frame(index, "alike")),
      ...this.#frame(chosen, "chosen"),
    );
  }

  /** A dark and a light frame, of which one shows on any colour. */
  #frame(index, name) {
    const [, columns] = this.grid;
    const place = { x: index % columns, y: Math.floor(index / columns), width: 1, height: 1 };
    return [svg("rect", { class: `${name} under`, ...place }), svg("rect", { class: name, ...place })];
  }
}
