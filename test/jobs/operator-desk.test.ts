// An operator among the jobs of one host: a real store and lane, with a scripted runner behind them.

import { describe, expect, test } from "bun:test";
import { seededRandom } from "../../src/base/random.ts";
import { createClosedDesk } from "../../src/jobs/idle-desk.ts";
import { createOperatorDesk } from "../../src/jobs/operator-desk.ts";
import { troubleOf } from "../../src/jobs/trouble.ts";
import { cleanup } from "../support/cleanup.ts";
import type { DeskOptions } from "../support/desk-scene.ts";
import { answer, deskScene } from "../support/desk-scene.ts";
import { scriptedRunner } from "../support/scripted-runner.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const ends = cleanup();
const random = seededRandom(5);
const failed = { kind: "failed", error: { code: "upstream_failed", message: "It broke." } } as const;

function scene(options: DeskOptions = {}) {
  const clock = virtualClock();
  const callers = ends(deskScene(clock, options));
  const desk = createOperatorDesk({ store: callers.store, desk: callers.desk, random });
  return {
    ...callers,
    clock,
    operator: desk,
    /** Of a job that was just accepted. */
    async placed(change: Parameters<typeof callers.order>[0] = {}): Promise<string> {
      const ordered = await callers.order(change);
      await clock.advance(1000);
      if (ordered.kind !== "accepted") throw new Error(`not accepted: ${ordered.kind}`);
      return ordered.job.id;
    },
  };
}

describe("an operator", () => {
  test("sees the jobs of all callers, the newest first, or those of one", async () => {
    const { operator, placed } = scene();
    const lobbys = await placed();
    const arenas = await placed({ caller: "arena" });
    const nobodys = await placed({ caller: undefined });
    const idsOf = (listed: ReturnType<typeof operator.list>) =>
      listed.kind === "listed" ? listed.jobs.map(({ id }) => id) : listed;
    expect(idsOf(operator.list({ limit: 10 }))).toEqual([nobodys, arenas, lobbys]);
    expect(idsOf(operator.list({ limit: 10, owner: "arena" }))).toEqual([arenas]);
    expect(idsOf(operator.list({ limit: 10, owner: null }))).toEqual([nobodys]);
    expect(operator.list({ limit: 1 })).toMatchObject({ hasMore: true });
  });

  test("sees any job with its result", async () => {
    const { operator, placed, runner } = scene();
    runner.onSubmit = () => ({ kind: "done", result: answer });
    const id = await placed({ caller: "arena" });
    const seen = operator.get(id);
    expect(seen).toMatchObject({ kind: "found", job: { id, owner: "arena", state: "done" } });
    expect(seen.kind === "found" && Buffer.from(seen.result ?? []).equals(answer)).toBe(true);
  });

  test("is told of a job that is not here, or another host's", () => {
    const { operator } = scene();
    const ulid = "01JD0CV3QX8N4Z7B2M6R9T5KWE";
    expect(operator.get(`job_gold-1_${ulid}`)).toMatchObject({ kind: "refused", code: "job_not_found" });
    expect(operator.get(`job_gold-2_${ulid}`)).toMatchObject({ kind: "elsewhere", member: "gold-2" });
    expect(operator.get("nonsense")).toMatchObject({ kind: "refused", code: "job_not_found" });
  });

  test("cancels any caller's job, and none that has ended", async () => {
    const { operator, placed } = scene();
    const id = await placed({ caller: "arena" });
    expect(await operator.cancel(id)).toMatchObject({ kind: "found", job: { id, state: "cancelled" } });
    expect(await operator.cancel(id)).toMatchObject({ kind: "refused", code: "job_ended" });
  });

  test("has a failed job done anew as a new one of the same caller, with the same request and ttl", async () => {
    const { operator, placed, runner, store } = scene();
    runner.onSubmit = () => failed;
    const body = { model: "silver", messages: [{ role: "user", content: "A tale of a well." }] };
    const id = await placed({ caller: "arena", modelName: "silver", ttlMs: 60_000, body });
    runner.onSubmit = () => ({ kind: "submitted" });
    const anew = await operator.retry(id);
    if (anew.kind !== "accepted") throw new Error(`not accepted: ${anew.kind}`);
    expect(anew.job.id).not.toBe(id);
    expect(anew.job).toMatchObject({ owner: "arena", kind: "chat", model: "story-70b", ttlMs: 60_000 });
    const requestOf = (each: string) => {
      const found = store.toDo(each);
      return found.kind === "found" && JSON.parse(Buffer.from(found.value?.request ?? []).toString());
    };
    expect(requestOf(anew.job.id)).toEqual({ ...body, model: "story-70b" });
    expect(requestOf(anew.job.id)).toEqual(requestOf(id));
    expect(operator.get(id)).toMatchObject({ job: { state: "failed" } });
  });

  test("has a cancelled job of a caller without a key done anew, too", async () => {
    const { operator, placed } = scene();
    const id = await placed({ caller: undefined });
    await operator.cancel(id);
    expect(await operator.retry(id)).toMatchObject({ kind: "accepted", job: { owner: null } });
  });

  test("has nothing done anew that has its result, or has not ended", async () => {
    const { operator, placed, runner, store } = scene();
    const running = await placed();
    expect(await operator.retry(running)).toMatchObject({ kind: "needless" });
    runner.onSubmit = () => ({ kind: "done", result: answer });
    const done = await placed();
    expect(await operator.retry(done)).toMatchObject({ kind: "needless" });
    expect(store.counts()).toMatchObject({ accepted: 0, submitted: 1, done: 1 });
  });

  test("is refused as a caller would be where no more jobs fit", async () => {
    const { operator, placed } = scene({ limits: { queuedMost: 1, bytesMost: 10_000_000 } });
    const id = await placed();
    await operator.cancel(id);
    await placed();
    expect(await operator.retry(id)).toMatchObject({ kind: "refused", code: "tier_overloaded" });
  });
});

test("an operator is told why, whatever he asks, where the store could not be opened", async () => {
  const clock = virtualClock();
  const desk = createClosedDesk(troubleOf("read-only"), {
    member: "gold-1",
    runner: scriptedRunner(clock.now),
    models: undefined,
    requestBytesMost: 100_000,
    clock,
    random,
  });
  const operator = createOperatorDesk({ store: undefined, desk, random });
  const id = "job_gold-1_01JD0CV3QX8N4Z7B2M6R9T5KWE";
  for (const told of [
    operator.list({ limit: 1 }),
    operator.get(id),
    await operator.cancel(id),
    await operator.retry(id),
  ])
    expect(told).toMatchObject({ kind: "refused", code: "job_store_unavailable" });
});
