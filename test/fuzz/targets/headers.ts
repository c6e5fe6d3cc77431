// Headers of callers and engines: what is made of them is always fit to be sent on, and never tells an engine or a caller
// what is not its business.

import { socketAuthorization } from "../../../src/http/npc-socket.ts";
import {
  onwardHeaders,
  prefersAsync,
  readCacheControl,
  readDeadlineMs,
  readIdempotencyKey,
  readSession,
  readSla,
  relayedHeaders,
  requestIdOf,
  traceOf,
} from "../../../src/http/request-headers.ts";
import { requestHead } from "../../../src/wire/request-head.ts";
import type { Dice } from "../dice.ts";
import type { Target } from "../target.ts";
import { latin1Of, must } from "../target.ts";

const names = [
  "x-request-id",
  "traceparent",
  "x-tierline-deadline-ms",
  "x-tierline-sla",
  "x-tierline-peer",
  "connection",
  "authorization",
  "cookie",
  "cache-control",
  "prefer",
  "content-length",
  "transfer-encoding",
  "host",
  "x",
  "accept",
  "sec-websocket-protocol",
  "set-cookie",
  "content-type",
  "constructor",
  "__proto__",
] as const;
const values = [
  "close",
  "keep-alive, x",
  "250",
  "1e3",
  "realtime",
  "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01",
  "no-store",
  "no-cache=x",
  "respond-async;wait=1",
  "tierline.key.a, b",
  "chunked",
  "a\tb",
  "\xff",
  "",
  "application/json",
] as const;

const generate = (dice: Dice): Uint8Array =>
  Buffer.from(dice.some(10, () => `${dice.pick(names)}: ${dice.pick(values)}`).join("\n"), "latin1");

const secret = new Set([
  "authorization",
  "cookie",
  "x-api-key",
  "host",
  "transfer-encoding",
  "connection",
  "expect",
  "upgrade",
  "te",
]);

export const headers: Target = {
  name: "headers",
  generate,
  words: [...names, ...values, "\n", ": ", "\r", "%0d%0a", "\0"],
  check(input) {
    const pairs = latin1Of(input)
      .split("\n")
      .map((row): [string, string] => [
        row.slice(0, Math.max(0, row.indexOf(":"))).toLowerCase(),
        row.slice(row.indexOf(":") + 1).trim(),
      ])
      .filter(([name]) => /^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name));
    const given = new Headers();
    for (const [name, value] of pairs) {
      // What a server hands over is what such an object takes.
      if (/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) given.append(name, value);
    }
    const get = (name: string): string | null => given.get(name);
    const deadlineMs = readDeadlineMs(get("x-tierline-deadline-ms"));
    must(
      typeof deadlineMs !== "number" || (deadlineMs > 0 && deadlineMs <= 600_000),
      "a deadline out of bounds",
    );
    const sla = readSla(get("x-tierline-sla"));
    const session = readSession(get("x-tierline-session"), get("x") ?? undefined);
    must(session === undefined || (session !== "" && session.length <= 256), "a session out of bounds");
    const id = requestIdOf(get("x-request-id"));
    const trace = traceOf(get("traceparent"));
    must(/^[\x21-\x7e]{1,128}$/.test(id), "an id that is none");
    for (const each of [trace.own, trace.onward])
      must(/^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(each), "no trace");

    const onward = onwardHeaders(given, id, trace);
    const head = requestHead({ method: "POST", path: "/v1/chat/completions", headers: onward }, "a", 5);
    must(
      head.split("\r\n").length === onward.length + 5 && head.indexOf("\r\n\r\n") === head.length - 4,
      "a head with more lines than it has headers",
    );
    for (const [name] of onward)
      must(!secret.has(name) && !name.startsWith("x-tierline-"), `an engine is told ${name}`);

    for (const [name, value] of onward)
      must(/^[\t\x20-\x7e]*$/.test(value), `an engine is told what is no text in ${name}`);

    const relayed = relayedHeaders(pairs);
    for (const name of Object.keys(relayed))
      must(
        !name.startsWith("x-tierline-") &&
          !["set-cookie", "connection", "transfer-encoding", "content-length"].includes(name),
        `a caller is told ${name}`,
      );
    const known = [
      readCacheControl(get("cache-control")),
      prefersAsync(get("prefer")),
      typeof readIdempotencyKey(get("x")),
      socketAuthorization(given) === null,
    ];
    return [
      typeof deadlineMs,
      typeof sla,
      session === undefined,
      id.startsWith("req_"),
      Math.min(6, onward.length),
      Math.min(6, Object.keys(relayed).length),
      ...known,
    ].join();
  },
};
