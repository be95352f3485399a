// Asking again and again, for as long as somebody looks.
import { away } from "./notices.js";

const MAX_SECONDS = 30;

/**
 * Call `ask` now and then every `seconds`, until `signal` aborts or it returns false.
 *
 * A hidden tab asks nothing and catches up when it is shown again. While the service is away (no
 * answer, 429 or 5xx) the pauses grow, and the page says so. Throws all else that `ask` throws.
 */
export async function poll(ask, { seconds, signal }) {
  let pause = seconds;
  for (let first = true; !signal.aborted; first = false) {
    try {
      if ((await ask()) === false) return;
      away(null);
      pause = seconds;
    } catch (error) {
      if (signal.aborted) return;
      const passing = error.status === 0 || error.status === 429 || error.status >= 500;
      if (!passing) throw error;
      away(error);
      pause = Math.min(pause * 1.5, MAX_SECONDS);
      if (first) pause = seconds;
    }
    await wait(pause, signal);
    await shown(signal);
  }
}

/** Resolves after so many seconds, or when the signal aborts. */
export function wait(seconds, signal) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end); // one for each pause would gather on it
      resolve();
    };
    const timer = setTimeout(end, seconds * 1000);
    signal.addEventListener("abort", end);
  });
}

/** Resolves when the tab is looked at, or when the signal aborts. */
export function shown(signal) {
  if (!document.hidden || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden && !signal.aborted) return;
      document.removeEventListener("visibilitychange", look);
      signal.removeEventListener("abort", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
    signal.addEventListener("abort", look);
  });
}
