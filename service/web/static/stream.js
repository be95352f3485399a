// Server-sent events over fetch: unlike EventSource it can begin after a known event, tells errors
// by their status, and gives its connection back while nobody looks (browsers allow six a server).
import { request } from "./api.js";
import { away } from "./notices.js";
import { shown, wait } from "./poll.js";

const RETRY_SECONDS = 3;

/** Yield {id, type, data} of each event after one, over lost connections, until the server says 204. */
export async function* events(path, { signal, after = 0 }) {
  let last = after;
  while (!signal.aborted) {
    await shown(signal);
    if (signal.aborted) return;
    const connection = new AbortController();
    const leave = () => connection.abort();
    const hide = () => document.hidden && connection.abort();
    signal.addEventListener("abort", leave, { once: true });
    document.addEventListener("visibilitychange", hide);
    try {
      const headers = { "Last-Event-ID": String(last) };
      const response = await request("GET", path, { headers, signal: connection.signal });
      if (response.status === 204) return;
      away(null);
      for await (const event of parse(response.body)) {
        last = Number(event.id);
        yield event;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error.status >= 400 && error.status < 500 && error.status !== 429) throw error;
      if (!connection.signal.aborted) {
        away(error.status === undefined ? new Error("The connection was lost.") : error);
        await wait(RETRY_SECONDS, signal);
      }
    } finally {
      signal.removeEventListener("abort", leave);
      document.removeEventListener("visibilitychange", hide);
      connection.abort();
    }
  }
}

async function* parse(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value.replaceAll("\r", "");
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const event = toEvent(block);
      if (event.data !== undefined) yield event;
    }
  }
}

function toEvent(block) {
  const fields = {};
  for (const line of block.split("\n")) {
    const at = line.indexOf(":");
    if (at > 0) fields[line.slice(0, at)] = line.slice(at + 1).replace(/^ /, "");
  }
  return {
    id: fields.id,
    type: fields.event,
    data: fields.data === undefined ? undefined : JSON.parse(fields.data),
  };
}
