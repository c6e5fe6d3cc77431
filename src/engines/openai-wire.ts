// What all engines with an OpenAI door have in common: model lists, error bodies, status codes, the one-token question.

import { parseJson } from "../base/parse-json.ts";
import type { HealthVerdict, InferencePath, StatusVerdict } from "./dialect.ts";

/** More names than any engine serves; a longer list is cut, because each name costs a row elsewhere. */
const modelsLimit = 256;
/** A message goes into a log line. */
const messageLimit = 500;

/** For an engine whose health check is a status and nothing else: only a 5xx is a statement. */
export function readHealthStatus(status: number): HealthVerdict {
  if (status >= 200 && status < 300) return "ok";
  // 501 says that there is no such check, as 404 and 405 do.
  return status >= 500 && status !== 501 ? "unhealthy" : "unknown";
}

/** `{"data":[{"id":"…"}]}`, as `GET /v1/models` answers. Adapters (LoRA) are listed beside their base and count. */
export function readModelList(status: number, body: string): readonly string[] | undefined {
  if (status !== 200) return undefined;
  const data = member(parseJson(body), "data");
  if (!Array.isArray(data)) return undefined;
  const ids: string[] = [];
  for (const card of data.slice(0, modelsLimit)) {
    const id = member(card, "id");
    if (typeof id === "string" && id !== "") ids.push(id);
  }
  return ids;
}

/**
 * Every error shape seen: `{"error":{"message"}}`, `{"error":"…"}`, the flat `{"object":"error","message"}`,
 * and FastAPI's `{"detail":"…"}` and `{"detail":[{"msg"}]}`.
 */
export function readErrorBody(status: number, body: string): { readonly message: string } | undefined {
  if (status < 400) return undefined;
  const root = parseJson(body);
  const error = member(root, "error");
  const detail = member(root, "detail");
  const message = [
    member(error, "message"),
    error,
    member(root, "object") === "error" ? member(root, "message") : undefined,
    detail,
    Array.isArray(detail) ? member(detail[0], "msg") : undefined,
  ].find((found): found is string => typeof found === "string" && found !== "");
  return message === undefined ? undefined : { message: message.slice(0, messageLimit) };
}

/** 429 and 503 are an engine that is full, not broken. A redirect is relayed: the caller's, like a 4xx. */
export function readStatus(status: number): StatusVerdict {
  if (status >= 200 && status < 300) return "ok";
  if (status === 429 || status === 503) return "busy";
  return status >= 500 ? "server-error" : "client-error";
}

/**
 * Asked through the same door as the requests that are waiting: an engine may lack the others, and answers a door
 * that it lacks without having to work.
 */
export function oneToken(path: InferencePath, model: string): string {
  switch (path) {
    case "/v1/chat/completions":
      return JSON.stringify({
        model,
        messages: [{ role: "user", content: "1" }],
        max_tokens: 1,
        temperature: 0,
      });
    case "/v1/completions":
      return JSON.stringify({ model, prompt: "1", max_tokens: 1, temperature: 0 });
    case "/v1/embeddings":
      return JSON.stringify({ model, input: "1" });
  }
}

/** The value of an object's own member, or undefined for anything else. */
export function member(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return Object.getOwnPropertyDescriptor(value, name)?.value;
}

/** A figure as JSON carries it; anything but a finite, non-negative number is unknown. */
export function figure(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : undefined;
}
