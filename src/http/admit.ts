// Who may come in at the public listener, before anything of the body is read: requests that can be read in one way only,
// with a key or a peer's seal, as often as the key's limit allows.

import type { SlaClass } from "../routing/sla.ts";
import type { Admitted } from "./arrival.ts";
import { forbids } from "./callers.ts";
import type { Door } from "./door.ts";
import { errorResponse } from "./errors.ts";
import type { OpenSealed } from "./forwarded.ts";
import { jobsPath } from "./job-shape.ts";
import { intentsPath } from "./npc.ts";
import { streamPath } from "./npc-socket.ts";
import { readSla } from "./request-headers.ts";

const anybody: Admitted = { caller: undefined };

/**
 * Whose request it is, or why it may not come in: it cannot be read in one way only, or it carries neither a key nor a
 * peer's seal. `sealed`: where peers may send it as well.
 */
export function admit(
  headers: Headers,
  path: string,
  { settings, account, cluster }: Door,
  sealed?: OpenSealed,
  authorizationIn = (given: Headers) => given.get("authorization"),
): Admitted | Response {
  const wrong = unreadable(headers);
  if (wrong !== undefined)
    return errorResponse("invalid_request", wrong, { headers: { connection: "close" } });
  const opened = sealed?.(headers, cluster);
  if (opened !== undefined) return opened;
  const { authenticate } = settings();
  if (authenticate === undefined || !path.startsWith("/v1/")) return anybody;
  const authorization = authorizationIn(headers);
  const key = authenticate(authorization);
  if (key !== undefined) {
    if (key.limit === undefined || key.limit.take()) return { caller: key.name, key };
    account.limited(key.name, classAtTheDoor(path, headers));
    return key.limit.refusal();
  }
  account.rejected("invalid_api_key");
  const message =
    authorization === null
      ? "No API key given. Send it as `Authorization: Bearer KEY`."
      : "The API key is not known here. Check the key, and that it is sent as `Authorization: Bearer KEY`.";
  return errorResponse("invalid_api_key", message, { headers: { "www-authenticate": "Bearer" } });
}

/** For the figures: before the body is read, the path and a header are all that tells. */
function classAtTheDoor(path: string, headers: Headers): SlaClass | "none" {
  if (path === intentsPath || path === streamPath) return "realtime";
  if (path.startsWith(jobsPath)) return "async";
  const sla = readSla(headers.get("x-tierline-sla"));
  return typeof sla === "string" ? sla : "none";
}

/** NPC intents are realtime. */
export function refusedIntents(key: Admitted["key"], { account }: Door): Response | undefined {
  const why = forbids(key, "realtime");
  if (why === undefined) return undefined;
  account.rejected(why.code);
  return errorResponse(why.code, why.message);
}

/** Bun takes what follows on the connection for the tunnel's. */
export const noTunnel = (): Response =>
  errorResponse("method_not_allowed", "CONNECT is for proxies; this is none.", {
    headers: { connection: "close" },
  });

/** A name, an IPv4 address or a bracketed IPv6 one, perhaps with a port; or nothing. */
const oneHost = /^(?:\[[\da-f:.]{2,45}\]|[\w.~!$&'()*+;=-]*)(?::\d{0,5})?$/i;

/** What HTTP/1.1 says must be refused and Bun.serve lets pass (RFC 9112 section 3.2, RFC 9110 section 10.1.1). */
function unreadable(headers: Headers): string | undefined {
  if (!oneHost.test(headers.get("host") ?? "")) return "The Host header must name one host.";
  const expect = headers.get("expect");
  if (expect !== null && expect.toLowerCase() !== "100-continue") return "This Expect header cannot be met.";
  return undefined;
}
