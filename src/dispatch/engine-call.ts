// What goes over the wire for a request: the caller's own bytes, but for the edits we mean, or an intent's question.

import { intentBody } from "../engines/intent-question.ts";
import { sessionHeader, spilledHeader, writtenSession } from "../host/forwarded.ts";
import type { PeerRequest } from "../host/peer-wire.ts";
import { holdsIn } from "../routing/admission.ts";
import type { EngineLink, LinkToEngine, LinkToPeer } from "./engine-link.ts";
import type { InferenceRequest } from "./inference-request.ts";
import { modelSpan } from "./model-span.ts";

/** `model`: the name that the engine is to see; undefined leaves the caller's, or its absence, as it is. */
export function engineCall(
  request: InferenceRequest,
  link: EngineLink,
  model: string | undefined,
): PeerRequest {
  return link.peer === undefined ? toEngine(request, link, model) : toPeer(request, link, model);
}

function toEngine(request: InferenceRequest, link: LinkToEngine, model: string | undefined): PeerRequest {
  const { dialect, authorization } = link;
  const headers = [...request.headers];
  if (authorization !== undefined) headers.push(["authorization", authorization]);
  if (!request.stream) headers.push(...dialect.requestHeaders);
  const priority = request.hasPriority ? undefined : dialect.priority?.(request.sla);
  const { question } = request;
  const asked =
    question === undefined
      ? request
      : { body: intentBody(model, question, link.intentConstraint()), modelName: model };
  const body = edited(asked, model, priority);
  return { method: "POST", path: request.path, headers, body };
}

/** The other router asks its engine in the words of that engine, with its key, its priority and its constraint. */
function toPeer(request: InferenceRequest, { peer }: LinkToPeer, model: string | undefined): PeerRequest {
  const { question, caller, deadline } = request;
  const { name: endpoint, tier } = peer.spec;
  const exact = request.model !== undefined;
  const asked =
    question === undefined
      ? request
      : {
          body: Buffer.from(JSON.stringify({ ...question, model: request.model })),
          modelName: model,
        };
  const { flow, spilled } = holdsIn(tier, request);
  const headers: (readonly [name: string, value: string])[] = [
    ...request.headers,
    ["x-tierline-sla", request.sla],
  ];
  if (flow?.session !== undefined) headers.push([sessionHeader, writtenSession(flow.session)]);
  if (spilled === true) headers.push([spilledHeader, "1"]);
  return {
    method: "POST",
    path: request.path,
    headers,
    body: edited(asked, model, undefined),
    forwarding: {
      claim: {
        caller,
        tier,
        endpoint,
        model: exact ? "exact" : "any",
        body: question === undefined ? "request" : "question",
      },
      deadline,
    },
  };
}

type Asked = Pick<InferenceRequest, "body" | "modelName">;

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
