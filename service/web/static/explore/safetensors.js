// Reading the format safetensors: 8 bytes with the header's length, the header as JSON, the numbers.

const BYTES = { F16: 2, F32: 4, I32: 4 };

/**
 * Return {metadata, tensors}, each tensor {shape, data} with data a Float32Array or Int32Array.
 *
 * Throws an Error that says what is wrong with a file that is none, or is cut short.
 */
export function parse(buffer) {
  if (buffer.byteLength < 8) throw new Error("not safetensors: shorter than 8 bytes");
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const start = 8 + length;
  if (length < 2 || start > buffer.byteLength) throw new Error("not safetensors: its header is cut short");
  let header;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(buffer, 8, length)));
  } catch {
    throw new Error("not safetensors: its header is not JSON");
  }
  const { __metadata__: metadata = {}, ...entries } = header;
  const tensors = {};
  for (const [name, entry] of Object.entries(entries)) tensors[name] = tensor(buffer, start, name, entry);
  return { metadata, tensors };
}

function tensor(buffer, start, name, { dtype, shape, data_offsets: offsets }) {
  const size = BYTES[dtype];
  if (!size) throw new Error(`safetensors: ${name} is ${dtype}, which is not read here`);
  const count = shape.reduce((product, side) => product * side, 1);
  const [from, to] = offsets;
  const fits = Number.isInteger(count) && from >= 0 && to - from === count * size;
  if (!fits || start + to > buffer.byteLength) throw new Error(`safetensors: ${name} is cut short`);
  const bytes = buffer.slice(start + from, start + to); // a copy, which may begin at any byte
  if (dtype === "F16") return { shape, data: halfToFloat(new Uint16Array(bytes)) };
  return { shape, data: dtype === "F32" ? new Float32Array(bytes) : new Int32Array(bytes) };
}

let table;

/** Decode float16 numbers, given as their bits. */
export function halfToFloat(bits) {
  table ??= Float32Array.from({ length: 65536 }, (_, half) => halfValue(half));
  const values = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) values[i] = table[bits[i]];
  return values;
}

function halfValue(half) {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
