// Whose session a request is: by its header, else by the body's user.

import { expect, test } from "bun:test";
import type { InferenceRequest } from "../../src/dispatch/inference-request.ts";
import { readSession } from "../../src/http/request-headers.ts";
import { cleanup } from "../support/cleanup.ts";
import { openForwarding } from "../support/forwarding.ts";

const ends = cleanup();
const long = "s".repeat(257);

for (const [title, header, user, session] of [
  ["the header's", "h", "u", "h"],
  ["the user's, where there is no header", null, "u", "u"],
  ["the user's, where the header is empty", "", "u", "u"],
  ["the user's, where the header is too long to be one", long, "u", "u"],
  ["as long as 256 characters", long.slice(1), "u", long.slice(1)],
  ["nobody's, where neither is there", null, undefined, undefined],
  ["nobody's, where the user is empty", null, "", undefined],
  ["nobody's, where the user is too long", null, long, undefined],
] as const) {
  test(`a session is ${title}`, () => {
    expect(readSession(header, user)).toBe(session);
  });
}

test("a request carries its session to routing, and its host's readiness", async () => {
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
  await host.post({ user: "player-7" });
  await host.post({ user: "player-7" }, undefined, { "x-tierline-session": "npc-1" });
  await host.post({ user: 7 });
  expect(seen.map(({ session }) => session)).toEqual(["player-7", "npc-1", undefined]);
  expect(seen.map(({ elsewhere }) => elsewhere)).toEqual([false, false, false]);
});
