// Asking the service for features, and the worker beside the page what is in them.
import { request } from "../api.js";

/** Starts the worker; it ends when `signal` aborts. */
export function startAnalyst(signal) {
  const worker = new Worker("/web/explore/worker.js", { type: "module" });
  const waiting = new Map();
  let count = 0;
  worker.onmessage = ({ data: { id, value, error } }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error) reject(new Error(error));
    else resolve(value);
  };
  worker.onerror = (event) => {
    for (const { reject } of waiting.values()) reject(new Error(event.message || "the analysis did not start"));
  };
  signal.addEventListener("abort", () => worker.terminate());
  return (task, given, moved = []) =>
    new Promise((resolve, reject) => {
      waiting.set(++count, { resolve, reject });
      worker.postMessage({ id: count, task, ...given }, moved);
    });
}

/**
 * Features of one picture by one encoder, and their analysis (see analysis.js), with the seconds
 * that the service took and `file`, the answer as it came.
 */
export async function embed(analyst, side, upload, encoder, size, signal) {
  const form = new FormData();
  form.append("images", upload.blob, upload.name);
  form.append("encoder", encoder);
  form.append("size", size);
  const response = await request("POST", "/embed", {
    body: form,
    headers: { Accept: "application/x-safetensors" },
    signal,
  });
  const buffer = await response.arrayBuffer();
  const file = new Blob([buffer], { type: "application/x-safetensors" });
  const found = await analyst("analyse", { side, buffer }, [buffer]);
  const seconds = (name) => Number(response.headers.get(name));
  return { ...found, file, queueSeconds: seconds("x-queue-time"), inferenceSeconds: seconds("x-inference-time") };
}
