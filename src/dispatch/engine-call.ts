// What goes over the wire to an engine: the caller's own bytes, but for the edits we mean, or an intent's question.

import { intentBody } from "../engines/intent-question.ts";
import type { WireRequest } from "../wire/exchange.ts";
import type { EngineLink } from "./engine-link.ts";
import type { InferenceRequest } from "./inference-request.ts";
import { modelSpan } from "./model-span.ts";

/** `model`: the name that the engine is to see; undefined leaves the caller's, or its absence, as it is. */
export function engineCall(
  request: InferenceRequest,
  link: EngineLink,
  model: string | undefined,
): WireRequest {
  const { dialect, authorization } = link;
  const headers = [...request.headers];
  if (authorization !== undefined) headers.push(["authorization", authorization]);
  if (!request.stream) headers.push(...dialect.requestHeaders);
  const priority = request.hasPriority ? undefined : dialect.priority?.(request.sla);
  const body = edited(asked(request, link, model), model, priority);
  return { method: "POST", path: request.path, headers, body };
}

type Asked = Pick<InferenceRequest, "body" | "modelName">;

function asked(request: InferenceRequest, link: EngineLink, model: string | undefined): Asked {
  if (request.question === undefined) return request;
  const body = intentBody(model, request.question, link.intentConstraint());
  return { body, modelName: model };
}

/** The body in parts: splicing instead of writing it anew keeps every other byte the caller's. */
function edited(
  { body, modelName }: Asked,
  wanted: string | undefined,
  priority: number | undefined,
): readonly Uint8Array[] {
  const model = wanted === modelName ? undefined : wanted;
  const span = model === undefined || modelName === undefined ? undefined : modelSpan(body);
  const added: string[] = [];
  if (priority !== undefined) added.push(`"priority":${priority}`);
  if (model !== undefined && modelName === undefined) added.push(`"model":${JSON.stringify(model)}`);

  const parts: Uint8Array[] = [];
  let from = 0;
  if (added.length > 0) {
    from = body.indexOf(openBrace) + 1;
    const comma = isEmptyObject(body, from) ? "" : ",";
    parts.push(body.subarray(0, from), Buffer.from(added.join(",") + comma));
  }
  if (span !== undefined) {
    parts.push(body.subarray(from, span.start), Buffer.from(JSON.stringify(model)));
    from = span.end;
  }
  parts.push(body.subarray(from));
  return parts;
}

const openBrace = 0x7b;
const closeBrace = 0x7d;

function isEmptyObject(body: Uint8Array, from: number): boolean {
  let at = from;
  while ((body[at] ?? closeBrace) <= 0x20) at += 1;
  return (body[at] ?? closeBrace) === closeBrace;
}
