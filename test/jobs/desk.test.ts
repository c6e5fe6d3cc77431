// What doors may ask about jobs, and what they are told.

import { describe, expect, spyOn, test } from "bun:test";
import { Departure } from "../../src/base/departure.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { FoundJob, Ordered } from "../../src/jobs/desk.ts";
import type { DeskRefusal } from "../../src/jobs/desk-refusal.ts";
import { createClosedDesk } from "../../src/jobs/idle-desk.ts";
import { named } from "../../src/jobs/named.ts";
import { troubleOf } from "../../src/jobs/trouble.ts";
import { cleanup } from "../support/cleanup.ts";
import type { DeskOptions } from "../support/desk-scene.ts";
import { answer, deskScene } from "../support/desk-scene.ts";
import { roomy } from "../support/job-place.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const ends = cleanup();

function scene(options: DeskOptions = {}) {
  const clock = virtualClock();
  return { clock, ...ends(deskScene(clock, options)) };
}

const idOf = (told: Ordered): string => {
  if (told.kind === "refused" || told.kind === "elsewhere") throw new Error(JSON.stringify(told));
  return told.job.id;
};
const codeOf = (told: Ordered | FoundJob | { kind: string }): string =>
  "code" in told ? String(told.code) : told.kind;
const body = { messages: [{ role: "user", content: "A tale." }], temperature: 1 };
const reuse = { parsed: body, takesKept: true };

describe("an order", () => {
  test("is stored before it is answered, under an id that names its host, for the caller's key", async () => {
    const { order, store, clock } = scene();
    const told = await order();
    expect(told).toMatchObject({
      kind: "accepted",
      job: { owner: "lobby", state: "accepted", model: "story-70b" },
    });
    expect(idOf(told)).toMatch(/^job_gold-1_[0-9A-Z]{26}$/);
    expect(store.get(idOf(told))).toMatchObject({
      kind: "found",
      value: { acceptedAtMs: clock.wallMs(), ttlMs: 3_600_000 },
    });
  });

  const models: readonly (readonly [
    asked: string,
    model: string | undefined,
    name: string | undefined,
    sent: string,
  ])[] = [
    ["no model", undefined, undefined, "story-70b"],
    ["a tier", undefined, "bronze", "story-70b"],
    ["an alias that pins one", "story-8b", "teller", "story-8b"],
    ["a model", "story-8b", "story-8b", "story-8b"],
  ];
  test.each(models.map((row) => row))(
    "that names %s is sent with a name that is known there",
    async (_, model, name, sent) => {
      const { order, store } = scene();
      const told = await order({ model, modelName: name, body: name === undefined ? {} : { model: name } });
      const toDo = store.toDo(idOf(told));
      const request = toDo.kind === "found" ? toDo.value?.request : undefined;
      expect(Buffer.from(request ?? []).toString()).toBe(`{"model":"${sent}"}`);
    },
  );

  test("keeps its bytes where the fleet itself is behind the lane", async () => {
    const { order, store } = scene({ models: undefined });
    const told = await order({ modelName: "bronze", body: { model: "bronze" } });
    expect(told).toMatchObject({ job: { model: "bronze" } });
    const toDo = store.toDo(idOf(told));
    expect(toDo.kind === "found" && Buffer.from(toDo.value?.request ?? []).toString()).toBe(
      '{"model":"bronze"}',
    );
  });

  test("that is too long to be handed over is refused", async () => {
    const { order, store } = scene({ requestBytesMost: 10 });
    expect(codeOf(await order())).toBe("request_too_large");
    expect(store.counts().accepted).toBe(0);
  });

  test("that finds all places taken comes back later", async () => {
    const { order } = scene({ limits: { ...roomy, queuedMost: 1 } });
    await order();
    const told = await order();
    expect(told).toMatchObject({
      kind: "refused",
      code: "tier_overloaded",
      message: expect.stringContaining("1 jobs"),
    });
    expect(told.kind === "refused" && (told.retryAfterMs ?? 0)).toBeGreaterThan(0);
  });

  test("that finds its caller's places taken comes back later, and is told that they are; another caller's is taken", async () => {
    const { order } = scene({ limits: { ...roomy, ownerQueuedMost: () => 1 } });
    expect((await order({ caller: "lobby" })).kind).toBe("accepted");
    const told = await order({ caller: "lobby" });
    expect(told).toMatchObject({
      code: "tier_overloaded",
      message: expect.stringContaining("1 jobs of this key are waiting here, half of what may wait in all"),
    });
    expect(told.kind === "refused" && (told.retryAfterMs ?? 0)).toBeGreaterThan(0);
    expect((await order({ caller: "arena" })).kind).toBe("accepted");
  });

  test("that comes with more than the disk takes at once comes back later", async () => {
    const { lane } = scene();
    const { order } = scene({ lane: { ...lane, accept: () => Promise.resolve({ kind: "crowded" }) } });
    const told = await order();
    expect(told).toMatchObject({ code: "tier_overloaded", message: expect.stringContaining("disk") });
    expect(told.kind === "refused" && (told.retryAfterMs ?? 0)).toBeGreaterThan(0);
  });
});

describe("an idempotency key", () => {
  test("with the same request is the same job, also after its end", async () => {
    const { order, clock, runner } = scene();
    runner.onSubmit = () => ({ kind: "done", result: answer });
    const first = await order({ idempotencyKey: "k" });
    const second = await order({ idempotencyKey: "k" });
    expect([first.kind, second.kind]).toEqual(["accepted", "same"]);
    expect(idOf(second)).toBe(idOf(first));
    await clock.advance(100);
    expect(await order({ idempotencyKey: "k" })).toMatchObject({
      kind: "same",
      result: new Uint8Array(answer),
    });
    expect(runner.asked("submit")).toHaveLength(1);
  });

  test.each([
    ["another request", { body: { messages: [] } }],
    ["another kind", { kind: "completion" }],
    ["another time to live", { ttlMs: 1000 }],
  ] as const)("with %s is refused", async (_, change) => {
    const { order } = scene();
    await order({ idempotencyKey: "k" });
    expect(codeOf(await order({ idempotencyKey: "k", ...change }))).toBe("idempotency_mismatch");
  });

  test("of another caller is another key", async () => {
    const { order } = scene();
    const first = await order({ idempotencyKey: "k" });
    const other = await order({ idempotencyKey: "k", caller: "arena" });
    expect([first.kind, other.kind]).toEqual(["accepted", "accepted"]);
  });

  test("asks for its own job, though one like it was done a moment ago", async () => {
    const { order, clock, runner } = scene();
    runner.onSubmit = () => ({ kind: "done", result: answer });
    await order({ reuse });
    await clock.advance(100);
    expect((await order({ reuse, idempotencyKey: "k" })).kind).toBe("accepted");
  });
});

describe("a result", () => {
  async function done() {
    const all = scene();
    all.runner.onSubmit = () => ({ kind: "done", result: answer });
    const first = await all.order({ reuse });
    await all.clock.advance(100);
    return { ...all, id: idOf(first) };
  }

  test("is given again for a minute to who asks the same, and then no longer", async () => {
    const { order, clock, id, runner } = await done();
    const again = await order({ reuse: { ...reuse, parsed: { temperature: 1, messages: body.messages } } });
    expect(again).toMatchObject({ kind: "known-result", job: { id }, result: new Uint8Array(answer) });
    await clock.advance(60_000);
    expect((await order({ reuse })).kind).toBe("accepted");
    await clock.advance(100);
    expect(runner.asked("submit")).toHaveLength(2);
  });

  test.each([
    ["another caller", { caller: "arena" }],
    ["another kind", { kind: "completion" }],
    ["another model", { model: "story-8b" }],
    ["another request", { reuse: { parsed: { messages: [] }, takesKept: true } }],
    ["a caller who wants a new one", { reuse: { ...reuse, takesKept: false } }],
    ["a caller who wants none kept", { reuse: undefined }],
  ] as const)("is not given to %s", async (_, change) => {
    const { order } = await done();
    expect((await order({ reuse, ...change })).kind).toBe("accepted");
  });

  test("that was forgotten, or cleared by the operator, is asked for anew", async () => {
    const { order, clock, store, desk } = await done();
    desk.kept.clear({});
    expect((await order({ reuse })).kind).toBe("accepted");
    await clock.advance(100);
    expect((await order({ reuse })).kind).toBe("known-result");
    store.sweep(clock.wallMs(), 10);
    expect((await order({ reuse })).kind).toBe("accepted");
  });

  test("of a job that failed is not kept", async () => {
    const { order, clock, runner } = scene();
    runner.onSubmit = () => ({ kind: "failed", error: { code: "upstream_failed", message: "No." } });
    await order({ reuse });
    await clock.advance(100);
    expect((await order({ reuse })).kind).toBe("accepted");
  });
});

describe("a job", () => {
  test("is its caller's alone: for others it is not there", async () => {
    const { order, desk } = scene();
    const id = idOf(await order());
    expect(desk.get(id, "lobby")).toMatchObject({ kind: "found", job: { id } });
    for (const caller of ["arena", undefined]) {
      expect(codeOf(desk.get(id, caller))).toBe("job_not_found");
      expect(codeOf(await desk.cancel(id, caller))).toBe("job_not_found");
      expect(codeOf(await desk.wait(id, caller, 1000, new Departure()))).toBe("job_not_found");
      expect(desk.list(caller, { limit: 10 })).toMatchObject({ jobs: [] });
    }
    expect(desk.list("lobby", { limit: 10 })).toMatchObject({ jobs: [{ id }], hasMore: false });
  });

  test("of another host is that host's; what no host could have named is not there", () => {
    const { desk } = scene();
    const elsewhere = `job_gold-2_${"0".repeat(26)}`;
    expect(desk.get(elsewhere, "lobby")).toEqual({ kind: "elsewhere", id: elsewhere, member: "gold-2" });
    for (const id of ["", "job_1", `job_gold-1_${"0".repeat(26)}`, "x".repeat(5000)])
      expect(codeOf(desk.get(id, "lobby"))).toBe("job_not_found");
  });

  test("that was adopted is answered for here, whoever named it", () => {
    const { desk, store } = scene();
    const id = `job_gold-2_${"0".repeat(26)}`;
    const job = {
      id,
      owner: "lobby",
      kind: "chat",
      model: "m",
      ttlMs: 1,
      acceptedAtMs: 1,
      outputKey: "k",
    } as const;
    store.accept({ ...job, request: Buffer.from("{}") });
    expect(desk.get(id, "lobby")).toMatchObject({ kind: "found", job: { id } });
  });

  test("is cancelled once, and not after its end", async () => {
    const { order, desk, runner, clock } = scene();
    const id = idOf(await order());
    expect(await desk.cancel(id, "lobby")).toMatchObject({ kind: "found", job: { state: "cancelled" } });
    expect(codeOf(await desk.cancel(id, "lobby"))).toBe("job_ended");
    await clock.advance(1000);
    expect(runner.asked("submit")).toHaveLength(0);
  });
});

describe("a wait", () => {
  const waiting = async (options: DeskOptions = {}) => {
    const all = scene(options);
    const id = idOf(await all.order());
    const leaving = new Departure();
    const seen: { told?: FoundJob } = {};
    const wait = (ms: number) =>
      void all.desk.wait(id, "lobby", ms, leaving).then((told) => {
        seen.told = told;
      });
    const status = () => (seen.told?.kind === "found" ? seen.told.job.state : seen.told?.kind);
    return { ...all, id, leaving, seen, wait, status };
  };

  test("ends with the job, at once and with its result", async () => {
    const { wait, runner, clock, seen } = await waiting();
    let finish = (): void => undefined;
    runner.onSubmit = () =>
      new Promise((resolve) => {
        finish = () => resolve({ kind: "done", result: answer });
      });
    wait(10_000);
    await clock.advance(5000);
    expect(seen.told).toBeUndefined();
    finish();
    await clock.advance(1);
    expect(seen.told).toMatchObject({
      kind: "found",
      job: { state: "done" },
      result: new Uint8Array(answer),
    });
  });

  test("with many others for one result reads it once for all", async () => {
    const { desk, id, store, runner, clock } = await waiting();
    const read = spyOn(store, "result");
    runner.onLook = () => ({ kind: "done", result: answer });
    const waits = Array.from({ length: 100 }, () => desk.wait(id, "lobby", 60_000, new Departure()));
    await clock.advance(60_000);
    const told = await Promise.all(waits);
    const results = told.map((each) => (each.kind === "found" ? each.result : undefined));
    expect(new Set(results).size).toBe(1);
    expect(results[0]).toEqual(new Uint8Array(answer));
    expect(read).toHaveBeenCalledTimes(1);
  });

  test("ends with its time, with the caller, and with a cancellation", async () => {
    const byTime = await waiting();
    byTime.wait(1000);
    await byTime.clock.advance(999);
    expect(byTime.status()).toBeUndefined();
    await byTime.clock.advance(1);
    expect(byTime.status()).toBe("submitted");

    const byCaller = await waiting();
    byCaller.wait(1000);
    byCaller.leaving.abort();
    await byCaller.clock.settle();
    expect(byCaller.status()).toBe("accepted");

    const byCancel = await waiting();
    byCancel.wait(1000);
    await byCancel.desk.cancel(byCancel.id, "lobby");
    await byCancel.clock.settle();
    expect(byCancel.status()).toBe("cancelled");
  });

  test("leaves nothing behind, however it ends", async () => {
    const { wait, clock, leaving, status, listeners } = await waiting();
    await clock.advance(10);
    const before = clock.pending();
    wait(0);
    wait(1_000_000);
    expect([clock.pending(), listeners()]).toEqual([before + 1, 1]);
    leaving.abort();
    wait(1_000_000);
    await clock.settle();
    expect([clock.pending(), listeners(), status()]).toEqual([before, 0, "submitted"]);
  });
});

test("a desk whose store cannot be opened refuses everything with the reason", async () => {
  const clock = virtualClock();
  const { runner } = ends(deskScene(clock));
  const desk = createClosedDesk(troubleOf("read-only"), {
    member: "gold-1",
    runner,
    models: ["m"],
    requestBytesMost: 100_000,
    clock,
    random: seededRandom(1),
  });
  const order = { caller: "lobby", kind: "chat", model: undefined, modelName: undefined, ttlMs: 1 } as const;
  const answers = [
    await desk.order({ ...order, request: answer }),
    desk.get("x", undefined),
    await desk.wait("x", undefined, 1, new Departure()),
    desk.list(undefined, { limit: 1 }),
    await desk.cancel("x", undefined),
  ];
  for (const told of answers) {
    const expected: Partial<DeskRefusal> = { kind: "refused", code: "job_store_unavailable" };
    expect(told).toMatchObject({ ...expected, message: troubleOf("read-only").message });
  }
  expect([desk.takes("m"), desk.takes("n"), desk.takes(undefined)]).toEqual([true, false, true]);
});

describe("named", () => {
  test.each([
    ['{"a":1}', undefined, '{"model":"m","a":1}'],
    [" { } ", undefined, '{"model":"m"}'],
    [
      '{"b":{"model":"x"},"model" : "gold","seed":12345678901234567890}',
      "gold",
      '{"model":"m","b":{"model":"x"},"seed":12345678901234567890}',
    ],
    ['{"model":"m"}', "m", '{"model":"m"}'],
    ['{"model":""}', "", '{"model":"m"}'],
    ['{"model":"x","a":1, "mod\\u0065l":"gold"}', "gold", '{"model":"m","a":1}'],
    ['{"model":"x","model":"m"}', "m", '{"model":"m"}'],
  ] as const)("writes the name into %s", (text, before, expected) => {
    expect(Buffer.from(named(Buffer.from(text), before, "m")).toString()).toBe(expected);
  });
});
