// The maps of one picture by two encoders, and what happens between them.
import { h } from "../dom.js";
import { align, nearest, resample } from "./align.js";
import { heat, rgb, viridis } from "./colour.js";
import { Cursor } from "./cursor.js";
import { embed, startAnalyst } from "./features.js";
import { patchTable, pictureTable } from "./numbers.js";
import { Pane } from "./pane.js";
import { Picture } from "./picture.js";
import { Second } from "./second.js";
import { Side } from "./side.js";
import { largest, similarityTo, statistics } from "./similarity.js";

const ALIKE = 5;
const RETRIED = [0, 429, 503, 504]; // what may go better a little later

export class Explorer {
  /** `onchoice(sides)` when another encoder is shown. */
  constructor(signal, onchoice) {
    this.onchoice = onchoice;
    this.signal = signal;
    this.analyst = startAnalyst(signal);
    this.view = { opacity: 1, smooth: false, shared: true, threshold: 0.6 };
    this.sides = { a: new Side("a", signal, (side) => this.refresh([side])), b: new Side("b", signal, (side) => this.refresh([side])) };
    this.second = new Second(this.analyst, this.sides, signal, () => this.#look(this.cursor.shown));
    this.photo = new Pane("source", "The part of the picture that is measured");
    this.cursor = new Cursor((place) => this.#look(place));
    this.#build();
  }

  get pair() {
    return Object.values(this.sides);
  }

  #build() {
    Object.entries({
      tabindex: "0", role: "application", "aria-label": "Patch of the photograph: choose with the arrow keys",
      "aria-describedby": "patch",
    }).forEach(([name, value]) => this.photo.element.setAttribute(name, value));
    this.patch = h("div", { id: "patch", "aria-live": "polite" });
    this.about = h("div", {});
    const { a, b } = this.sides;
    this.element = h("div", { class: "maps", "aria-busy": "true" },
      h("p", { class: "caption cap-photo" }, "Choose a patch: hover, tap, or arrow keys"),
      this.photo.element, a.pca.element, b.pca.element, a.caption, b.caption,
      a.heat.element, b.heat.element, a.legend, b.legend,
      h("div", { class: "card numbers" }, this.patch, this.about));
    for (const pane of this.#panes()) this.cursor.listen(pane.element);
    this.cursor.listenToKeys(this.photo.element);
  }

  #panes() {
    return [this.photo, ...this.pair.flatMap((side) => [side.pca, side.heat])];
  }

  /** Show another picture. */
  async open(file) {
    this.started = performance.now();
    const picture = await Picture.open(file);
    if (this.signal.aborted) return;
    this.picture = picture;
    const shown = this.refresh(this.pair, this.started);
    for (const pane of this.#panes()) picture.draw(pane.photo); // while the service is at work
    await shown;
  }

  async swap() {
    const { a, b } = this.sides;
    const [first, second] = [[a.encoder, a.pixels], [b.encoder, b.pixels]];
    this.held = true; // one change, not two
    await Promise.all([a.choose(...second), b.choose(...first)]);
    this.held = false;
    await this.refresh(this.pair);
  }

  /** Ask for the features of these sides anew, and draw when nothing is waited for any more. */
  async refresh(sides, started = performance.now()) {
    if (this.held || this.signal.aborted) return; // the address is that of another page by now
    this.onchoice(this.sides);
    if (!this.picture) return;
    this.element.setAttribute("aria-busy", "true");
    this.#sayOfPicture(null);
    await Promise.all(sides.map((side) => this.#fetch(side)));
    if (this.signal.aborted || this.pair.some((side) => side.asked)) return; // who ends last draws them all
    this.redraw();
    this.#refreshSecond();
    requestAnimationFrame(() => setTimeout(() => this.#painted(started))); // a frame is painted between the two
  }

  /** The other picture is asked for anew only where the encoders are others than they were. */
  #refreshSecond() {
    const by = this.pair.map((side) => side.shown).join();
    if (by === this.by) return;
    this.by = by;
    this.second.refresh();
  }

  /** Bring a side up to date, or say why it cannot be; not if something newer is asked for meanwhile. */
  async #fetch(side) {
    side.asked?.abort();
    const asked = (side.asked = new AbortController());
    const leaving = () => asked.abort();
    this.signal.addEventListener("abort", leaving, { once: true });
    side.fileName = this.picture.file.name;
    side.found = null;
    try {
      if (!side.facts) return side.clear(); // not there, or looked for yet
      const { choice } = side;
      const upload = await this.picture.upload(Math.max(...this.pair.map((one) => one.pixels)));
      const found = await embed(this.analyst, side.key, upload, side.encoder, side.pixels, asked.signal);
      if (asked.signal.aborted) return;
      side.take(found);
      side.shown = choice;
      side.say(null);
    } catch (error) {
      if (!asked.signal.aborted) this.#fail(side, error);
    } finally {
      if (side.asked === asked) side.asked = null;
      this.signal.removeEventListener("abort", leaving);
    }
  }

  #fail(side, error) {
    side.clear();
    if (error.errors?.some(({ field }) => field.startsWith("images"))) this.#sayOfPicture(error);
    else side.say(error, RETRIED.includes(error.status) ? () => this.refresh([side]) : null);
  }

  #sayOfPicture(error) {
    const message = error?.errors[0].message;
    document.getElementById("problem-picture").replaceChildren(...(message ? [h("p", {}, message)] : []));
  }

  /** Draw all maps from what is known. */
  redraw() {
    const { a, b } = this.sides;
    this.element.classList.toggle("smooth", this.view.smooth);
    for (const pane of this.#panes().slice(1)) pane.map.style.opacity = this.view.opacity;
    const first = this.pair.find((side) => side.found);
    if (!first) return;
    this.cursor.setGrid(first.found.grid);
    this.photo.setGrid(first.found.grid);
    if (a.found) a.pca.draw(rgb(a.found.scores), a.found.grid);
    if (b.found) b.pca.draw(rgb(this.#alignedScores()), b.found.grid);
    this.#look(this.cursor.shown);
  }

  #alignedScores() {
    const { a, b } = this.sides;
    if (!a.found) return b.found.scores;
    return align(b.found.scores, resample(a.found.scores, a.found.grid, b.found.grid, 3));
  }

  /** Show what is like a patch; quick enough for every movement of the mouse. */
  #look(place) {
    const looked = this.pair.map((side) => this.#likeness(side, place));
    const known = looked.filter(Boolean);
    if (!known.length) return;
    const low = Math.min(...known.map(({ stats }) => stats.least));
    this.pair.forEach((side, i) => {
      if (!looked[i]) return;
      const { values, stats, index, token } = looked[i];
      const [from, to] = this.view.shared ? [low, 1] : [stats.least, stats.most];
      side.heat.draw(heat(values, from, to), side.found.grid);
      side.heat.mark(index, largest(values, ALIKE, index));
      side.pca.mark(index);
      side.legend.replaceChildren(...legend(side.key, from, to));
      this.second.look(side.key, token, [from, to]);
    });
    this.photo.mark(place.row * this.cursor.grid[1] + place.column);
    this.patch.replaceChildren(patchTable(place, this.view.threshold, looked.map((one) => one?.stats)));
  }

  #likeness({ found }, { row, column }) {
    if (!found) return null;
    const { grid, dim, unit } = found;
    const index = nearest(row, column, this.cursor.grid, grid);
    const token = unit.subarray(index * dim, (index + 1) * dim);
    const values = similarityTo(token, unit, grid[0] * grid[1], dim);
    return { values, index, token, stats: statistics(values, this.view.threshold) };
  }

  /** After the frame in which both maps were drawn: what need not be waited for. */
  async #painted(started) {
    this.element.setAttribute("aria-busy", "false");
    this.milliseconds = performance.measure("maps", { start: started }).duration;
    const found = this.pair.map((side) => side.found);
    if (!found.some(Boolean)) return this.about.replaceChildren();
    const tell = (cka) => this.about.replaceChildren(pictureTable(found, cka, this.milliseconds));
    tell(null);
    if (!found.every(Boolean)) return;
    const cka = await this.analyst("cka", {});
    if (this.pair.every((side, i) => side.found === found[i])) tell(cka);
  }
}

function legend(key, from, to) {
  const strip = h("canvas", { width: 64, height: 1, "aria-hidden": "true" });
  const pixels = new Uint8ClampedArray(Array.from({ length: 64 }, (_, i) => [...viridis(i / 63), 255]).flat());
  strip.getContext("2d").putImageData(new ImageData(pixels, 64, 1), 0, 0);
  return [h("span", {}, h("b", {}, key.toUpperCase()), " similarity"), h("span", {}, from.toFixed(2)), strip, h("span", {}, to.toFixed(2))];
}
