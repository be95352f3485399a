// Sending a large form: unlike fetch, XMLHttpRequest tells how much of it has gone.
import { Problem, refusal } from "./api.js";

/** POST a FormData; `progress` gets the share that was sent. Resolves to the answer's JSON. */
export function upload(path, form, { progress, signal }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.responseType = "json";
    request.upload.addEventListener(
      "progress",
      (event) => event.lengthComputable && progress(event.loaded / event.total),
    );
    request.addEventListener("load", () => {
      if (request.status < 400) resolve(request.response);
      else reject(refusal(request.status, request.response ?? {}));
    });
    request.addEventListener("error", () =>
      reject(
        new Problem(0, {
          code: "unreachable",
          detail: "The connection was lost before the upload was done.",
        }),
      ),
    );
    request.addEventListener("abort", () =>
      reject(new Problem(0, { code: "aborted", detail: "The upload was stopped." })),
    );
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.open("POST", path);
    request.send(form);
  });
}
