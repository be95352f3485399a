// Values in nested settings, by their path.

export function getAt(settings, path) {
  return path.reduce((value, key) => value?.[key], settings);
}

export function setAt(settings, path, value) {
  const parent = path.slice(0, -1).reduce((inner, key) => (inner[key] ??= {}), settings);
  parent[path[path.length - 1]] = value;
}

export function same(a, b) {
  return JSON.stringify(a ?? null) === JSON.stringify(b ?? null);
}

/** A value as a person writes it. */
export function written(value) {
  if (value == null) return "none";
  if (Array.isArray(value)) return value.map(written).join(", ");
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "object" ? reference(value) : String(value);
}

/** An encoder's settings {architecture, weights} in their short form. */
export function reference({ id, architecture, weights }) {
  return id ?? architecture + (!weights || weights === "pretrained" ? "" : `@${weights}`);
}
