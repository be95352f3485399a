// Filling the form from an earlier job.
import { get } from "../api.js";
import { getAt, same } from "./values.js";
import { leaves } from "./schema.js";

const WEIGHTS = /\/jobs\/(job_\w+)\/final\//;

/** What a job was started with: {kind, settings}, encoders as a request may name them. */
export async function settingsOf(id, signal) {
  const [job, { data: encoders }] = await Promise.all([
    get(`/jobs/${encodeURIComponent(id)}`, { signal }),
    get("/encoders?limit=100", { signal }),
  ]);
  const { options, ...config } = job.config;
  const settings = { ...config, ...options, name: job.name, visibility: job.visibility, priority: job.priority };
  const named = (encoder) => encoders.find((one) => one.job === WEIGHTS.exec(encoder.weights)?.[1])?.id ?? encoder;
  if (settings.encoder) settings.encoder = named(settings.encoder);
  if (settings.encoders) settings.encoders = settings.encoders.map(named);
  return { kind: job.kind, settings };
}

/** The preset from which settings differ least. */
export function nearestPreset(presets, settings, tree) {
  const differences = ({ settings: base }) =>
    leaves(tree).filter(({ path }) => !same(getAt(base, path), getAt(settings, path))).length;
  return [...presets].sort((a, b) => differences(a) - differences(b))[0].name;
}
