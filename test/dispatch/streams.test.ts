// Streams through the loop: elsewhere until the first event is out, never afterwards.

import { describe, expect, test } from "bun:test";
import type { Dispatched } from "../../src/dispatch/dispatched.ts";
import { BrokenAnswer } from "../../src/dispatch/relay.ts";
import type { Reply } from "../support/fake-wire.ts";
import { events, good, hangs, scene, streamed, told } from "./scene.ts";

describe("a stream", () => {
  const first = 'data: {"n":1}\n\n';
  const last = "data: [DONE]\n\n";

  /** Reads to the end: the text, and how it ended. */
  async function readAll(done: Dispatched | undefined): Promise<{ text: string; end: string }> {
    if (done?.kind !== "answer" || done.body instanceof Uint8Array) throw new Error("no stream");
    let text = "";
    try {
      for (let chunk = await done.body.next(); chunk !== null; chunk = await done.body.next()) {
        text += Buffer.from(chunk).toString();
      }
      return { text, end: "clean" };
    } catch (error) {
      if (!(error instanceof BrokenAnswer)) throw error;
      return { text, end: `${error.code}${error.told ? ", told" : ""}` };
    }
  }

  test("is relayed from its first event on, while the slot is held, until its end", async () => {
    const { clock, ask, ends, endpointOf, expectPeace } = scene({
      g: { replies: [streamed([5, first], [50, last])] },
    });
    const asked = ask({ stream: true });
    await clock.advance(5);
    expect(told(asked.done)).toBe("answer 200 by g because local-first after 1");
    expect(endpointOf("g").inflight).toBe(1);
    const reading = readAll(asked.done);
    await clock.advance(45);
    expect(await reading).toEqual({ text: first + last, end: "clean" });
    expect(ends).toMatchObject([{ kind: "ok", firstByteMs: 5, totalMs: 50 }]);
    expectPeace();
  });

  for (const [title, reply, outcome] of [
    ["with an error event", streamed([5, 'data: {"error":{"message":"no"}}\n\n']), "server-error"],
    ["with half an event and a cut", { headers: events, chunks: [[5, "data: {"]], end: "cut" }, "truncated"],
    ["with nothing at all", { headers: events, headAfterMs: 5, chunks: [] }, "truncated"],
    [
      "with half an error event, then the other half",
      streamed([5, 'data: {"err'], [6, 'or":"no"}\n\n']),
      "server-error",
    ],
  ] as const satisfies readonly (readonly [string, Reply, string])[]) {
    test(`that begins ${title} is asked for elsewhere`, async () => {
      const { clock, ask, expectPeace } = scene({
        g: { replies: [reply] },
        h: { replies: [streamed([5, first + last])] },
      });
      const asked = ask({ stream: true });
      await clock.advance(20);
      expect(told(asked.done)).toBe(`answer 200 by h because retry-after-${outcome} after 2`);
      expect(await readAll(asked.done)).toEqual({ text: first + last, end: "clean" });
      expectPeace();
    });
  }

  test("without a first byte in time is asked for elsewhere", async () => {
    const { clock, ask, expectPeace } = scene({
      g: { replies: [hangs] },
      h: { replies: [streamed([5, first + last])] },
    });
    const asked = ask({ stream: true, firstByteMs: 250 });
    await clock.advance(249);
    expect(told(asked.done)).toBe("pending");
    await clock.advance(10);
    expect(told(asked.done)).toBe("answer 200 by h because retry-after-timeout after 2");
    await readAll(asked.done);
    expectPeace();
  });

  test("is never asked for elsewhere after its first event: what breaks, breaks", async () => {
    for (const [reply, end] of [
      [{ headers: events, chunks: [[5, first]], end: "cut" }, "upstream_failed"],
      [{ headers: events, chunks: [[5, first]], end: "clean" }, "upstream_failed"],
      [streamed([5, first], [6, 'data: {"error":"no"}\n\ndata: [DONE]\n\n']), "upstream_failed, told"],
    ] as const satisfies readonly (readonly [Reply, string])[]) {
      const { clock, ask, wireOf, expectPeace } = scene({ g: { replies: [reply] }, h: { replies: [good] } });
      const asked = ask({ stream: true });
      await clock.advance(20);
      const read = await readAll(asked.done);
      expect(read.end).toBe(end);
      expect(read.text).toStartWith(first);
      expect(read.text).not.toContain("[DONE]");
      expect(wireOf("h").requests.length).toBe(0);
      expectPeace();
    }
  });

  test("frees its slot when its caller leaves, in the middle", async () => {
    const { clock, ask, ends, expectPeace } = scene({
      g: { replies: [{ headers: events, chunks: [[5, first]], end: "never" }] },
    });
    const asked = ask({ stream: true });
    await clock.advance(5);
    if (asked.done?.kind !== "answer" || asked.done.body instanceof Uint8Array) throw new Error("no stream");
    asked.done.body.cancel("caller");
    await clock.settle();
    expect(ends.map(({ kind }) => kind)).toEqual(["cancelled"]);
    expectPeace();
  });
});
