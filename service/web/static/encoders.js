// Which encoders there are to choose from, and what is known of one.
import { get, withQuery } from "./api.js";

export const STARTER = "vit_starter_patch16_224";

/** Post-trained encoders and what they began with, newest first: [{value, label, note}]. */
export async function suggestedEncoders(signal) {
  const { data } = await get("/encoders?limit=100", { signal });
  const results = resultsOf(data);
  const bases = [...new Set([...data.map((one) => baseOf(one, data)), STARTER, `${STARTER}@random`])];
  const notes = { [STARTER]: "comes along with the service", [`${STARTER}@random`]: "random weights, as a control" };
  const known = new Set(results.map((one) => one.value));
  return [
    ...results,
    ...bases.filter((base) => base && !known.has(base)).map((base) => ({ value: base, label: base, note: notes[base] ?? "base" })),
  ];
}

function resultsOf(encoders) {
  const names = new Map();
  for (const { name } of encoders) names.set(name, (names.get(name) ?? 0) + 1);
  return encoders.map(({ id, name, architecture, steps, base, job }) => ({
    value: id,
    label: !name ? id : names.get(name) > 1 ? `${name} (${id.slice(-6)})` : name,
    note: `post-trained ${architecture}, ${steps} steps`,
    base: baseOf({ base, job }, encoders),
  }));
}

/** What an encoder began with as a reference that a request may hold; null if there is none. */
export function baseOf(encoder, encoders) {
  const { base } = encoder;
  if (!base?.includes("/")) return base;
  return encoders.find((one) => one.job && base.includes(`/${one.job}/`))?.id ?? null;
}

/** Encoders with a text's words in their id, name or base: post-trained ones, then architectures. */
export async function searchEncoders(text, signal) {
  const [made, bases] = await Promise.all([
    get(withQuery("/encoders", { search: text, limit: 20 }), { signal }),
    searchBases(text, signal),
  ]);
  return [...resultsOf(made.data), ...bases];
}

async function searchBases(text, signal) {
  const [name, weights] = text.split("@");
  const { data } = await get(withQuery("/encoders", { kind: "base", search: name, limit: 20 }), { signal });
  const suffix = weights !== undefined && "random".startsWith(weights) ? "@random" : "";
  return data.map(({ id, patch_size: patch, dim }) => ({
    value: id + suffix,
    label: id + suffix,
    note: `patch ${patch}, ${dim} dimensions${suffix && ", random weights"}`,
  }));
}

/** Patch size, dimension and default size of an encoder by its id or reference. */
export function factsOf(reference, signal) {
  return get(`/encoders/${encodeURIComponent(reference.split("@")[0])}`, { signal });
}
