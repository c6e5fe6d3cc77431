// The key of the answers that can stand for each other.

import { canonicalJson } from "../base/canonical-json.ts";
import type { InferenceRequest } from "./inference-request.ts";
import type { Reuse } from "./reuse.ts";

/**
 * The same for all requests that one answer can serve: same door, same caller's key, same meaning of `model`, and the
 * same body but for `model`. Undefined where a body's meaning is not certain.
 */
export function answerKey(request: InferenceRequest, parsed: Reuse["parsed"]): string | undefined {
  const text = canonicalJson(parsed, "model");
  if (text === undefined) return undefined;
  // Who names no model takes what the tiers of the ladder serve, in that order; see still-served.ts.
  const meant = request.model ?? request.ladder.map(({ tier }) => tier);
  const asked = JSON.stringify([request.path, request.caller ?? null, meant]);
  return Bun.CryptoHasher.hash("sha256", `${asked}\n${text}`, "hex");
}
