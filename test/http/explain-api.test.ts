// GET /api/explain: the decision for the request that is described, as the public listener would take it.

import { describe, expect, test } from "bun:test";
import { createAdminApp } from "../../src/http/admin.ts";
import type { Door } from "../../src/http/door.ts";
import { cleanup } from "../support/cleanup.ts";
import { answer, deskScene } from "../support/desk-scene.ts";
import { openForwarding, ours } from "../support/forwarding.ts";
import { localPolicy } from "../support/local-scene.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const ends = cleanup();

function open() {
  const host = ends(openForwarding());
  return { ...host, explain: explainerOf(host.door) };
}

function explainerOf(door: Door) {
  const app = createAdminApp(door);
  return async (query: string): Promise<unknown> => {
    const response = await app.fetch(
      new Request(`http://127.0.0.1/api/explain?${query}`, { headers: { host: "127.0.0.1" } }),
    );
    return response.json();
  };
}

describe("explain", () => {
  test("names a session's own peer, every time the same, and another session's other peer", async () => {
    const host = open();
    for (const name of ["silver-1", "silver-2", "silver-3"]) host.addPeer("silver", name);
    const chosen = new Map<string, string>();
    for (const session of ["a", "b", "c", "d", "e", "f"]) {
      const told = await host.explain(`sla=interactive&model=silver&session=${session}`);
      expect(told).toMatchObject({ decision: { do: "try", because: "affinity" } });
      expect(await host.explain(`sla=interactive&model=silver&session=${session}`)).toEqual(told);
      chosen.set(session, JSON.stringify(told));
    }
    expect(new Set(chosen.values()).size).toBeGreaterThan(1);
    expect(await host.explain("sla=interactive&model=silver")).toMatchObject({
      decision: { do: "try", because: "not-local" },
    });
  });

  test("chooses for a session what the session's request itself is given", async () => {
    const host = open();
    for (const name of ["silver-1", "silver-2", "silver-3"]) host.addPeer("silver", name);
    for (const session of ["a", "b", "c", "d"]) {
      const endpoint = (await host.post({ model: "silver", user: session })).headers.get(
        "x-tierline-endpoint",
      );
      expect(await host.explain(`sla=interactive&model=silver&session=${session}`)).toMatchObject({
        decision: { endpoint },
      });
    }
  });

  test("explains a draining host as it is: the peers answer, and its own engine does not", async () => {
    const host = open();
    host.addPeer();
    host.door.lifecycle.enter("draining");
    expect(await host.explain("sla=realtime")).toEqual({
      decision: { do: "try", because: "draining", endpoint: "silver-1/vllm", tier: "gold" },
      candidates: [
        { endpoint: ours, because: "draining" },
        { endpoint: "silver-1/vllm", because: "chosen" },
      ],
    });
  });

  test("names the endpoints by the rungs of the ladder, and last those that are on none", async () => {
    const host = open();
    host.addPeer("silver", "a");
    host.addPeer("gold", "b");
    host.addPeer("silver", "c");
    const named = async (query: string) => {
      const told = await host.explain(query);
      return JSON.stringify(told).match(/\w[\w-]*\/vllm(?=","because)/g);
    };
    expect(await named("sla=realtime")).toEqual([ours, "b/vllm", "a/vllm", "c/vllm"]);
    expect(await named("model=silver")).toEqual(["a/vllm", "c/vllm", ours, "b/vllm"]);
  });

  test("says draining where a draining host has nobody to send to", async () => {
    const host = open();
    host.door.lifecycle.enter("draining");
    expect(await host.explain("sla=realtime")).toMatchObject({
      decision: { do: "shed", because: "draining" },
    });
  });

  test("defers to the async lane what a request there would be deferred for", async () => {
    const { explain } = withLane();
    const lane = { decision: { do: "defer" } };
    expect(await explain("sla=async")).toMatchObject(lane);
    expect(await explain("model=bronze")).toMatchObject(lane);
    expect(await explain("model=story-70b&prefer=respond-async")).toMatchObject(lane);
    // Streams are never waited for there, and nobody knows yet how long jobs take.
    expect(await explain("model=story-70b")).toMatchObject({ decision: { do: "shed" } });
    expect(await explain("model=story-70b&stream=false")).toMatchObject({ decision: { do: "shed" } });
    expect(await explain("sla=realtime&prefer=respond-async")).toMatchObject({ decision: { do: "try" } });
  });

  test("knows that a whole answer may be waited for where jobs are done in time", async () => {
    const { explain, desk, clock } = withLane();
    await desk.order();
    await clock.advance(1000);
    expect(await explain("model=story-70b&stream=false")).toMatchObject({ decision: { do: "defer" } });
    expect(await explain("model=story-70b")).toMatchObject({ decision: { do: "shed" } });
  });
});

/** A host with an engine and an async lane whose jobs are done at once. */
function withLane() {
  const clock = virtualClock();
  const host = ends(openForwarding({ policy: localPolicy }));
  const desk = ends(deskScene(clock));
  desk.runner.onSubmit = () => ({ kind: "done", result: answer });
  return { clock, desk, explain: explainerOf({ ...host.door, desk: desk.desk }) };
}
