// What routers say to each other when they ask about jobs: in whose name, under a seal that is good for this one request.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createForwardSeals } from "../../src/host/forwarded.ts";
import type { JobCall, JobCallSeals } from "../../src/host/job-call.ts";
import { createJobCallSeals } from "../../src/host/job-call.ts";
import { sealing } from "../support/seals.ts";
import type { VirtualClock } from "../support/virtual-clock.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const line = "GET /v1/jobs/job_gold-2_01J00000000000000000000000?wait=30";
const sealsOf = (name: string, clock: VirtualClock): JobCallSeals =>
  createJobCallSeals(sealing(clock, { name }));

const calls: fc.Arbitrary<JobCall> = fc.record({
  caller: fc.option(fc.string({ minLength: 1, maxLength: 64, unit: "grapheme-ascii" }), { nil: undefined }),
});

describe("a call about jobs", () => {
  test("is opened as it was sealed, whoever it is for, and only once", () => {
    const clock = virtualClock();
    const [sender, receiver] = [sealsOf("gold-1", clock), sealsOf("gold-2", clock)];
    fc.assert(
      fc.property(calls, (claim) => {
        const { header } = sender.seal(line, claim, 0);
        expect(receiver.open(line, header)).toEqual({ from: "gold-1", claim });
        expect(receiver.open(line, header)).toEqual({ refused: "replayed" });
      }),
    );
  });

  test("is refused with any part of it changed, and for another method, job, caller or query", () => {
    const clock = virtualClock();
    const [sender, receiver] = [sealsOf("gold-1", clock), sealsOf("gold-2", clock)];
    const { header } = sender.seal(line, { caller: "lobby" }, 0);
    for (const [before, after] of [
      ["caller=lobby", "caller=arena"],
      [";caller=lobby", ""],
      ["from=gold-1", "from=gold-9"],
    ] as const) {
      expect([after, receiver.open(line, header.replace(before, after))]).toEqual([
        after,
        { refused: "wrong-key" },
      ]);
    }
    for (const other of [
      line.replace("GET", "POST"),
      line.replace("gold-2", "gold-3"),
      line.replace("?wait=30", ""),
      line.replace("?wait", "/cancel?wait"),
    ]) {
      expect([other, receiver.open(other, header)]).toEqual([other, { refused: "wrong-key" }]);
    }
    expect(receiver.open(line, header)).toHaveProperty("from", "gold-1");
  });

  test("without a caller cannot be given one", () => {
    const clock = virtualClock();
    const { header } = sealsOf("gold-1", clock).seal(line, { caller: undefined }, 0);
    const forged = header.replace("jobs=1;", "jobs=1;caller=lobby;");
    expect(forged).not.toBe(header);
    expect(sealsOf("gold-2", clock).open(line, forged)).toEqual({ refused: "wrong-key" });
  });

  test("is no forwarded request, and a forwarded request is no call about jobs", () => {
    const clock = virtualClock();
    const [jobs, forwards] = [
      sealsOf("gold-1", clock),
      createForwardSeals(sealing(clock, { name: "gold-1" })),
    ];
    const forwarded = {
      caller: "lobby",
      tier: "gold",
      endpoint: "gold-2/vllm",
      model: "any",
      body: "request",
    } as const;
    const receiver = sealing(clock, { name: "gold-2" });
    expect(createForwardSeals(receiver).open(line, jobs.seal(line, { caller: "lobby" }, 0).header)).toEqual({
      refused: "malformed",
    });
    expect(createJobCallSeals(receiver).open(line, forwards.seal(line, forwarded, 0).header)).toEqual({
      refused: "malformed",
    });
  });

  for (const [what, text] of [
    ["nothing", ""],
    ["only a claim", "hop=1;jobs=1;caller=lobby"],
    ["a hop more", "hop=2;jobs=1;v=1;x"],
    ["a caller that is empty", "hop=1;jobs=1;caller=;v=1;x"],
    ["a caller that is no UTF-8", "hop=1;jobs=1;caller=%ff;v=1;x"],
    ["two callers", "hop=1;jobs=1;caller=a;caller=b;v=1;x"],
    ["more than a header may hold", `hop=1;jobs=1;caller=${"a".repeat(1100)};v=1;x`],
  ] as const) {
    test(`of ${what} is malformed`, () => {
      expect(sealsOf("gold-2", virtualClock()).open(line, text)).toEqual({ refused: "malformed" });
    });
  }

  test("with a stale stamp brings the time to its sender, with which the next one is good", () => {
    const clock = virtualClock();
    const behind = { ...clock, wallMs: () => clock.wallMs() - 3_600_000 };
    const sender = createJobCallSeals(sealing(behind, { name: "gold-1" }));
    const receiver = sealsOf("gold-2", clock);
    const claim = { caller: "lobby" };
    const { header, nonce } = sender.seal(line, claim, 0);
    const opened = receiver.open(line, header);
    if (!("refused" in opened)) throw new Error("let in with a stale stamp");
    const told = sender.openClock(line, claim, opened.clock, nonce);
    expect(told).toEqual({ aheadMs: 3_600_000 });
    const again = sender.seal(line, claim, 3_600_000).header;
    expect(receiver.open(line, again)).toEqual({ from: "gold-1", claim });
  });
});
