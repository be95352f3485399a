// Filling the form from an earlier job.
import { get } from "../api.js";
import { getAt, same } from "./values.js";
import { leaves } from "./schema.js";

const WEIGHTS = /\/jobs\/(job_\w+)\/final\//;

/** What a job was started with: {kind, settings}, encoders as a request may name them. */
export async function settingsOf(id, signal) {
  const job = await get(`/jobs/${encodeURIComponent(id)}`, { signal });
  const { options, ...config } = job.config;
  const settings = { ...config, ...options, name: job.name, visibility: job.visibility, priority: job.priority };
  if (settings.encoder) settings.encoder = await named(settings.encoder, signal);
  if (settings.encoders) settings.encoders = await Promise.all(settings.encoders.map((one) => named(one, signal)));
  return { kind: job.kind, settings };
}

/** What a job made goes by its id: members may not name the path of its weights. */
async function named(encoder, signal) {
  const maker = WEIGHTS.exec(encoder.weights)?.[1];
  if (!maker) return encoder;
  try {
    return (await get(`/jobs/${maker}`, { signal })).encoder ?? encoder;
  } catch (error) {
    if (error.status === 404) return encoder; // deleted since
    throw error;
  }
}

/** The preset from which settings differ least. */
export function nearestPreset(presets, settings, tree) {
  const differences = ({ settings: base }) =>
    leaves(tree).filter(({ path }) => !same(getAt(base, path), getAt(settings, path))).length;
  return [...presets].sort((a, b) => differences(a) - differences(b))[0].name;
}
