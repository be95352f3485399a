// Choosing a patch by mouse, finger or keys.

const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

export class Cursor {
  /** `onmove` is called with {row, column} whenever another patch is looked at. */
  constructor(onmove) {
    this.onmove = onmove;
    this.grid = [1, 1];
    this.pinned = { row: 0, column: 0 };
    this.shown = this.pinned;
  }

  /** Keep the place in the picture when the grid changes. */
  setGrid([rows, columns]) {
    const [oldRows, oldColumns] = this.grid;
    this.grid = [rows, columns];
    const moved = (at, old, now) => Math.min(Math.floor(((at + 0.5) / old) * now), now - 1);
    this.pinned = { row: moved(this.pinned.row, oldRows, rows), column: moved(this.pinned.column, oldColumns, columns) };
    this.shown = this.pinned;
  }

  /** Hovering shows, clicking pins; leaving goes back to what is pinned. A finger pins as it moves. */
  listen(element) {
    element.addEventListener("pointerdown", (event) => this.#pin(this.#at(element, event)));
    element.addEventListener("pointermove", (event) => {
      const at = this.#at(element, event);
      if (event.pointerType !== "mouse" || event.buttons) this.#pin(at);
      else this.#show(at);
    });
    element.addEventListener("pointerleave", () => this.#show(this.pinned));
  }

  /** Arrow keys move by a patch, Home and End to the ends of a row, Page Up and Down of a column. */
  listenToKeys(element) {
    element.addEventListener("keydown", (event) => {
      const next = this.#after(event.key);
      if (!next || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      this.#pin(next);
    });
  }

  #after(key) {
    const [rows, columns] = this.grid;
    const { row, column } = this.pinned;
    if (key in STEPS) return this.#clamped(row + STEPS[key][0], column + STEPS[key][1]);
    const ends = { Home: [row, 0], End: [row, columns - 1], PageUp: [0, column], PageDown: [rows - 1, column] };
    return key in ends ? this.#clamped(...ends[key]) : null;
  }

  #clamped(row, column) {
    const within = (at, count) => Math.min(Math.max(at, 0), count - 1);
    return { row: within(row, this.grid[0]), column: within(column, this.grid[1]) };
  }

  #at(element, event) {
    const box = element.getBoundingClientRect();
    const [rows, columns] = this.grid;
    const row = Math.floor(((event.clientY - box.top) / box.height) * rows);
    return this.#clamped(row, Math.floor(((event.clientX - box.left) / box.width) * columns));
  }

  #pin(place) {
    this.pinned = place;
    this.#show(place);
  }

  #show(place) {
    if (place.row === this.shown.row && place.column === this.shown.column) return;
    this.shown = place;
    this.onmove(place);
  }
}
