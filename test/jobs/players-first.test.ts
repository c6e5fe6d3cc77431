// What peers send here of class async, beside players: it has a slot only as long as none of them wants it.

import { describe, expect, test } from "bun:test";
import { playersFirstRule } from "../../src/jobs/players-first.ts";
import { jobToDo } from "../support/job-to-do.ts";
import { localScene } from "../support/local-scene.ts";
import { virtualClock } from "../support/virtual-clock.ts";

function scene(options: Parameters<typeof localScene>[1] = {}) {
  const clock = virtualClock();
  const local = localScene(clock, options);
  local.reply = () => ({ hangs: true });
  /** A peer's job, sent to that engine of ours. */
  const guest = (more: Parameters<typeof local.play>[0] = {}, only = local.endpoint.spec.name) =>
    local.play({ sla: "async", only, deadline: 3_600_000, ...more });
  return { clock, local, guest };
}

const sentAway = { kind: "refusal", code: "tier_overloaded", journey: { because: "pool-full" } };

describe("a peer's job", () => {
  test("makes room for a player who would have to wait: at once, one for one, the newest first", async () => {
    const { clock, local, guest } = scene({ slots: 3 });
    const [first, second] = [guest(), guest()];
    local.play();
    await clock.settle();
    expect([first.done, second.done, local.endpoint.inflight]).toEqual([undefined, undefined, 3]);
    local.play();
    await clock.settle();
    expect(first.done).toBeUndefined();
    expect(second.done).toMatchObject(sentAway);
    expect([local.endpoint.inflight, local.endpoint.waiting, local.wire.open()]).toEqual([3, 0, 3]);
  });

  test("is told when to come again, and says nothing against the engine", async () => {
    const { clock, local, guest } = scene({ slots: 1, queueLimit: 0 });
    const job = guest();
    const player = local.play();
    await clock.settle();
    if (job.done?.kind !== "refusal") throw new Error("not refused");
    expect(job.done.retryAfterMs).toBeGreaterThan(0);
    expect(local.endpoint.breakerState(clock.now())).toBe("closed");
    player.leave();
    await clock.settle();
    expect([local.endpoint.pressure(clock.now()), clock.pending()]).toEqual([0, 0]);
  });

  test("makes room for a player whom another peer sends to the same engine, and to no other", async () => {
    const { clock, local, guest } = scene({ slots: 1, silver: true });
    const [here, there] = [guest(), guest({}, "gold-1/silver")];
    local.play({ only: "gold-1/silver" });
    await clock.settle();
    expect(here.done).toBeUndefined();
    expect(there.done).toMatchObject(sentAway);
    expect(local.fleet.named("gold-1/silver")?.inflight).toBe(1);
  });

  test("makes none for another job, which is refused", async () => {
    const { clock, guest } = scene({ slots: 1 });
    const [first, second] = [guest(), guest()];
    await clock.settle();
    expect(first.done).toBeUndefined();
    expect(second.done).toMatchObject(sentAway);
  });

  test("goes before this host's own where it came later, and after them where it came earlier", async () => {
    const { clock, local, guest } = scene({ slots: 4 });
    const own = () => {
      const job = jobToDo(local.runner, "x", { acceptedAtMs: clock.wallMs() });
      const seen = { isOver: false };
      void local.runner.submit(job, new AbortController().signal).then(() => {
        seen.isOver = true;
      });
      return seen;
    };
    const earlier = guest();
    const between = own();
    const later = guest();
    await clock.settle();
    local.play();
    for (const gone of [
      [true, false, false],
      [true, true, false],
      [true, true, true],
    ] as const) {
      local.play();
      await clock.settle();
      expect([later.done !== undefined, between.isOver, earlier.done !== undefined]).toEqual([...gone]);
    }
    expect(local.endpoint.waiting).toBe(0);
  });

  test("leaves within a look when the engine says that others keep it busy", async () => {
    const { clock, local, guest } = scene({ slots: 4 });
    const job = guest();
    await clock.advance(playersFirstRule.watchMs);
    expect(job.done).toBeUndefined();
    local.endpoint.setGauges({ running: 6 }, clock.now());
    await clock.advance(playersFirstRule.watchMs);
    expect(job.done).toMatchObject(sentAway);
    expect(clock.pending()).toBe(0);
  });

  test("is answered as anybody is where nobody wants its slot, and leaves nothing behind", async () => {
    const { clock, local, guest } = scene();
    local.reply = () => ({ chunks: [[10, '{"ok":true}']] });
    const job = guest();
    await clock.advance(10);
    expect(job.done).toMatchObject({ kind: "answer", status: 200 });
    expect(clock.pending()).toBe(0);
  });

  test("whose peer hangs up is gone, and was not sent away", async () => {
    const { clock, local, guest } = scene();
    const job = guest();
    await clock.settle();
    job.leave();
    await clock.settle();
    expect(job.done?.kind).toBe("gone");
    expect([local.endpoint.inflight, local.wire.open(), clock.pending()]).toEqual([0, 0, 0]);
  });
});

describe("nobody is sent away", () => {
  for (const [title, more] of [
    ["who streams, for what has gone out cannot be taken back", { stream: true }],
    ["of another class", { sla: "interactive" }],
    ["whom no peer has sent", { only: undefined }],
  ] as const) {
    test(title, async () => {
      const { clock, local, guest } = scene({ slots: 1, queueLimit: 0 });
      const other = guest({ firstByteMs: 60_000, ...more });
      const player = local.play();
      await clock.settle();
      expect(other.done).toBeUndefined();
      expect(player.done).toMatchObject({ kind: "refusal", code: "tier_overloaded" });
    });
  }

  test("while a long answer is on its way to its peer", async () => {
    const { clock, local, guest } = scene({ slots: 1 });
    const half = `{"choices":[{"message":{"content":"${"x".repeat(1_200_000)}`;
    local.reply = () => ({ chunks: [[1, half]], end: "never" });
    const job = guest();
    await clock.advance(10);
    expect(job.done).toMatchObject({ kind: "answer", status: 200 });
    local.play();
    await clock.settle();
    expect([local.endpoint.inflight, local.endpoint.waiting]).toEqual([1, 1]);
  });
});
