// An engine's wire for tests of dispatch: answers, hangs and breaks as a script says, in virtual time.

import type { Clock } from "../../src/base/clock.ts";
import { BodyQueue } from "../../src/wire/body-queue.ts";
import type { WireClient, WireExchange, WireRequest, WireResponse } from "../../src/wire/client.ts";
import type { WireErrorCode } from "../../src/wire/wire-error.ts";
import { WireError } from "../../src/wire/wire-error.ts";

/** What becomes of one request. Times count from the request. */
export type Reply =
  | { readonly hangs: true }
  | { readonly failsWith: WireErrorCode; readonly afterMs?: number; readonly reused?: boolean }
  | {
      readonly status?: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly headAfterMs?: number;
      readonly chunks: readonly (readonly [atMs: number, text: string])[];
      /** `clean` with the last chunk; `cut` then; or never. */
      readonly end?: "clean" | "cut" | "never";
      readonly delimited?: "length" | "chunked" | "close";
    };

export interface FakeWire {
  readonly client: WireClient;
  readonly requests: readonly (WireRequest & { readonly text: string })[];
  /** Exchanges that neither ended nor were cancelled. */
  open(): number;
  script: (request: WireRequest) => Reply;
}

export function fakeWire(clock: Clock, script: FakeWire["script"]): FakeWire {
  const requests: (WireRequest & { text: string })[] = [];
  let open = 0;

  const request = (asked: WireRequest): WireExchange => {
    requests.push({ ...asked, text: Buffer.concat(asked.body ?? []).toString() });
    open += 1;
    const reply = wire.script(asked);
    const response = Promise.withResolvers<WireResponse>();
    response.promise.catch(() => undefined);
    const body = new BodyQueue(() => undefined);
    const stops: (() => void)[] = [];
    const progress = { sent: true, heard: false, reused: "reused" in reply && reply.reused === true };
    let over = false;

    const finish = (): void => {
      if (over) return;
      over = true;
      open -= 1;
      for (const stop of stops) stop();
    };
    const at = (ms: number, action: () => void): void => {
      stops.push(clock.after(ms, action));
    };

    if ("failsWith" in reply) {
      const error = new WireError(reply.failsWith, "scripted", progress);
      at(reply.afterMs ?? 0, () => {
        finish();
        response.reject(error);
      });
    } else if ("chunks" in reply) {
      const { status = 200, chunks, end = "clean", delimited = "length" } = reply;
      const entries = Object.entries(reply.headers ?? { "content-type": "application/json" });
      const headers = { entries, get: (name: string) => entries.find(([key]) => key === name)?.[1] };
      at(reply.headAfterMs ?? chunks[0]?.[0] ?? 0, () => {
        asked.heard?.();
        response.resolve({ status, headers, body, delimited, reused: false });
      });
      let last = reply.headAfterMs ?? 0;
      for (const [ms, text] of chunks) {
        last = Math.max(last, ms);
        at(ms, () => {
          asked.heard?.();
          body.push(Buffer.from(text));
        });
      }
      if (end !== "never") {
        at(last, () => {
          finish();
          if (end === "clean") body.end();
          else body.fail(new WireError("truncated", "scripted", { ...progress, heard: true }));
        });
      }
    }

    return {
      response: response.promise,
      cancel() {
        if (over) return;
        finish();
        const error = new WireError("cancelled", "given up", progress);
        response.reject(error);
        body.abandon(error);
      },
    };
  };

  const wire: FakeWire = {
    client: {
      request,
      stats: () => ({ open, idle: 0, pending: 0, waiting: 0 }),
      close: () => undefined,
      abandon: () => undefined,
    },
    requests,
    open: () => open,
    script,
  };
  return wire;
}
