// The service's HTTP API.

/** What the service refuses: `code` for programs, `errors` by field: [{field, message}]. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `HTTP ${status}`);
    this.status = status;
    this.code = body.code || "";
    this.errors = body.errors || [];
  }
}

/**
 * Send a request, and return the Response.
 *
 * An object as `body` is sent as JSON, a FormData as it is. Throws Problem for 4xx and 5xx, and
 * with the code "unreachable" if the service does not answer.
 */
export async function request(method, path, { body, headers = {}, signal } = {}) {
  const plain = body !== undefined && !(body instanceof FormData);
  let response;
  try {
    response = await fetch(path, {
      method,
      signal,
      headers: plain ? { "Content-Type": "application/json", ...headers } : headers,
      body: plain ? JSON.stringify(body) : body,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { code: "unreachable", detail: "The service does not answer." });
  }
  if (!response.ok) throw refusal(response.status, await response.json().catch(() => ({})));
  return response;
}

/** The Problem of an answer of 4xx or 5xx; a 401 leads to the sign-in form as well. */
export function refusal(status, body) {
  if (status === 401) dispatchEvent(new CustomEvent("signed-out"));
  return new Problem(status, body);
}

async function json(method, path, options) {
  const response = await request(method, path, options);
  return response.status === 204 ? null : response.json();
}

export const get = (path, options) => json("GET", path, options);
export const post = (path, body, options) => json("POST", path, { body, ...options });
export const patch = (path, body, options) => json("PATCH", path, { body, ...options });
export const remove = (path, options) => json("DELETE", path, options);

/** A path with its query; what is null or empty is left out. */
export function withQuery(path, query) {
  const given = Object.entries(query).filter(([, value]) => value != null && value !== "");
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}
