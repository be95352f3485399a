// A picture of the user's: shown from the file itself, and sent no larger than is of use.

const SENT_AS_IT_IS = 600_000; // bytes; to make a smaller file of these takes longer than to send them
const SPARE = 2; // times the encoder's input: the service's own resampling then still has the last word
const QUALITY = 0.95;

export class Picture {
  constructor(file, bitmap) {
    this.file = file;
    this.bitmap = bitmap; // null where this browser cannot show the format
    this.reduced = null; // as it was sent, if it was scaled down
    this.square = null; // what the maps cover
    this.uploads = new Map();
  }

  /** Open a file; whether it is a picture at all, the service says. */
  static async open(file) {
    const bitmap = await createImageBitmap(file).catch(() => null);
    return new Picture(file, bitmap);
  }

  /** What to send for inputs of `size` pixels a side: {blob, name}. */
  upload(size) {
    const short = size * SPARE;
    const small = this.file.size <= SENT_AS_IT_IS;
    if (!this.bitmap || small || Math.min(this.bitmap.width, this.bitmap.height) <= short) {
      return Promise.resolve({ blob: this.file, name: this.file.name || "picture" });
    }
    if (!this.uploads.has(short)) this.uploads.set(short, this.#scaled(short));
    return this.uploads.get(short);
  }

  async #scaled(short) {
    const factor = short / Math.min(this.bitmap.width, this.bitmap.height);
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(this.bitmap.width * factor);
    canvas.height = Math.round(this.bitmap.height * factor);
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(this.bitmap, 0, 0, canvas.width, canvas.height);
    this.reduced = canvas;
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
    return { blob, name: "picture.jpg" };
  }

  /** Draw the part of it that a grid covers: the largest centred square. */
  draw(canvas) {
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!this.bitmap) return;
    // Canvases are of one size: only for the first a photograph of many megapixels is scaled down.
    this.square ??= this.#drawSquare(canvas.width);
    context.drawImage(this.square, 0, 0, canvas.width, canvas.height);
  }

  #drawSquare(size) {
    const source = this.reduced ?? this.bitmap;
    const { width, height } = source;
    const side = Math.min(width, height);
    const square = new OffscreenCanvas(size, size);
    const context = square.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(source, (width - side) / 2, (height - side) / 2, side, side, 0, 0, size, size);
    return square;
  }
}
