// How long a stream may wait for a slot before another rung is better: half of what its first byte was promised in.

import { expect, test } from "bun:test";
import type { InferenceRequest } from "../../src/dispatch/inference-request.ts";
import { cleanup } from "../support/cleanup.ts";
import { openForwarding } from "../support/forwarding.ts";

const ends = cleanup();

test("a stream waits half of its class's first byte, longer where it is granted more in all; others as long as they have", async () => {
  const seen: InferenceRequest[] = [];
  const host = ends(
    openForwarding({
      dispatch: (request) => {
        seen.push(request);
        return Promise.resolve({
          kind: "refusal",
          code: "no_endpoint",
          message: "",
          retryAfterMs: 1,
          journey: { tried: [], queuedMs: 0, engineMs: 0, because: "no-endpoint" },
        });
      },
    }),
  );
  await host.post({ stream: true });
  await host.post({ stream: false });
  await host.post({ stream: true }, undefined, { "x-tierline-deadline-ms": "600000" });
  const [streamed, whole, patient] = seen;
  if (streamed === undefined || patient === undefined) throw new Error("nothing came to dispatch");
  const waitMs = ({ waitsUntil, receivedAt }: InferenceRequest): number =>
    Math.round((waitsUntil ?? Number.NaN) - receivedAt);
  expect(waitMs(streamed)).toBe(streamed.firstByteMs / 2);
  expect(whole?.waitsUntil).toBeUndefined();
  expect(patient.firstByteMs).toBeGreaterThan(streamed.firstByteMs);
  expect(waitMs(patient)).toBe(Math.round(patient.firstByteMs / 2));
});
