// Jobs on this fleet, beside players: where they begin, how they leave, and what comes of them.

import { describe, expect, test } from "bun:test";
import { seededRandom } from "../../src/base/random.ts";
import { createLocalRunner, localRule } from "../../src/jobs/local.ts";
import { createPlayersFirst, playersFirstRule } from "../../src/jobs/players-first.ts";
import type { Submitted } from "../../src/jobs/runner.ts";
import { advertWith, engineThere } from "../support/adverts.ts";
import type { Reply } from "../support/fake-wire.ts";
import { jobToDo, textOf } from "../support/job-to-do.ts";
import { localPolicy, localScene } from "../support/local-scene.ts";
import { virtualClock } from "../support/virtual-clock.ts";

function scene(options: Parameters<typeof localScene>[1] = {}) {
  const clock = virtualClock();
  const local = localScene(clock, options);
  const submit = (says = "hello", request?: object) => {
    const cut = new AbortController();
    const run: { ended?: Submitted; cut(): void } = { cut: () => cut.abort() };
    const job = jobToDo(local.runner, says, {
      acceptedAtMs: clock.wallMs(),
      ...(request !== undefined && { request: Buffer.from(JSON.stringify(request)) }),
    });
    void local.runner.submit(job, cut.signal).then((ended) => {
      run.ended = ended;
    });
    return {
      ...run,
      job,
      get ended() {
        return run.ended;
      },
    };
  };
  const hang = () => {
    local.reply = () => ({ hangs: true });
  };
  return { clock, local, submit, hang };
}

const messages = [{ role: "user", content: "hello" }];

describe("a job on this fleet", () => {
  test("is asked for whole, at the lowest priority, and its answer is kept", async () => {
    const { clock, local, submit } = scene();
    const run = submit("x", { model: "story-70b", stream: true, stream_options: {}, priority: -9, messages });
    await clock.advance(10);
    if (run.ended?.kind !== "done") throw new Error(JSON.stringify(run.ended));
    expect(textOf(run.ended.result)).toBe("hello");
    const body = JSON.parse(local.wire.requests[0]?.text ?? "");
    expect(body).toMatchObject({ stream: false, model: "story-70b", messages });
    expect(body.priority).toBeGreaterThan(0);
    expect("stream_options" in body).toBe(false);
    expect(local.endpoint.inflight).toBe(0);
    expect(clock.pending()).toBe(0);
  });

  const names: readonly (readonly [name: string | undefined, asked: string])[] = [
    [undefined, "story-70b"],
    ["bronze", "story-70b"],
    ["async", "story-70b"],
    ["gold", "story-70b"],
    ["storyteller", "story-70b"],
    ["story-70b", "story-70b"],
  ];
  test.each(names.map((row) => row))("that names %s gets the model %s", async (name, asked) => {
    const { clock, local, submit } = scene();
    const run = submit("x", { ...(name !== undefined && { model: name }), messages });
    await clock.advance(10);
    expect(run.ended?.kind).toBe("done");
    expect(JSON.parse(local.wire.requests[0]?.text ?? "").model).toBe(asked);
  });

  test("for a model that nobody has waits for another time, and nobody with it", async () => {
    const { clock, local, submit } = scene();
    const run = submit("x", { model: "other", messages });
    await clock.settle();
    expect(run.ended).toMatchObject({ kind: "again", about: "job" });
    expect(local.wire.requests).toHaveLength(0);
  });

  test("that the engine refuses has failed, in the engine's words", async () => {
    const { clock, local, submit } = scene();
    local.reply = () => ({ status: 400, chunks: [[1, '{"error":{"message":"too long"}}']] });
    const run = submit();
    await clock.advance(10);
    expect(run.ended).toMatchObject({
      kind: "failed",
      error: { message: expect.stringContaining("too long") },
    });
  });

  test("that breaks engines comes again a few times, and then has failed", async () => {
    const { clock, local } = scene();
    local.reply = () => ({ status: 500, chunks: [[1, "{}"]] });
    const job = jobToDo(local.runner, "x", { acceptedAtMs: clock.wallMs() });
    const ends: (string | undefined)[] = [];
    for (let time = 0; time < localRule.failuresMost; time += 1) {
      void local.runner.submit(job, new AbortController().signal).then(({ kind }) => ends.push(kind));
      // Longer than its breaker stays open.
      await clock.advance(60_000);
    }
    expect(ends).toEqual([...Array(localRule.failuresMost - 1).fill("again"), "failed"]);
  });

  const forgetting = [
    ["is refused", { status: 400, chunks: [[1, "{}"]] }, false],
    ["has too long an answer", { chunks: [[1, "x".repeat(localRule.resultBytesMost + 1)]] }, false],
    ["is cut short by the lane", { hangs: true }, true],
  ] as const;
  test.each(forgetting)("that %s leaves nothing of its failures behind", async (_, last, isCut) => {
    const { clock, local } = scene();
    const job = jobToDo(local.runner, "x", { acceptedAtMs: clock.wallMs() });
    const ends: (string | undefined)[] = [];
    const submit = async (reply: Reply, cut = new AbortController()) => {
      local.reply = () => reply;
      void local.runner.submit(job, cut.signal).then(({ kind }) => ends.push(kind));
      await clock.advance(1000);
      if (isCut && reply === last) cut.abort();
      await clock.advance(60_000);
    };
    const fails: Reply = { status: 500, chunks: [[1, "{}"]] };
    for (let time = 1; time < localRule.failuresMost; time += 1) await submit(fails);
    await submit(last);
    await submit(fails);
    expect(ends.at(-2)).toBe(isCut ? "again" : "failed");
    expect(ends.at(-1)).toBe("again");
    expect(ends).toHaveLength(localRule.failuresMost + 1);
  });

  test("keeps every number of its request as it is written, whatever priority it asks for", async () => {
    const { clock, local } = scene();
    const text = '{"seed":9223372036854775807,"priority":-9,"messages":[{"role":"user","content":"x"}]}';
    const job = jobToDo(local.runner, "x", { acceptedAtMs: clock.wallMs(), request: Buffer.from(text) });
    void local.runner.submit(job, new AbortController().signal);
    await clock.advance(10);
    const sent = local.wire.requests[0]?.text ?? "";
    expect(sent).toContain('"seed":9223372036854775807');
    expect(JSON.parse(sent).priority).toBeGreaterThan(0);
  });

  test("whose answer is none comes again", async () => {
    const { clock, local, submit } = scene();
    local.reply = () => ({ chunks: [[1, '{"choices":[]}']] });
    const run = submit();
    await clock.advance(10);
    expect(run.ended).toMatchObject({ kind: "again", about: "job" });
  });

  test("is not one of the players: its answer may be longer than what is gathered for them", async () => {
    const { clock, local, submit } = scene();
    const content = "x".repeat(localRule.resultBytesMost - 1000);
    local.reply = () => ({ chunks: [[1, JSON.stringify({ choices: [{ message: { content } }] })]] });
    const run = submit();
    await clock.advance(10);
    if (run.ended?.kind !== "done") throw new Error("not done");
    expect(textOf(run.ended.result)).toBe(content);
  });
});

test("an answer that is longer than what is kept has failed, and says how much that is", async () => {
  const { clock, local, submit } = scene();
  const content = "x".repeat(localRule.resultBytesMost);
  local.reply = () => ({ chunks: [[1, JSON.stringify({ choices: [{ message: { content } }] })]] });
  const run = submit();
  await clock.advance(10);
  expect(run.ended).toMatchObject({
    kind: "failed",
    error: { message: expect.stringContaining(String(localRule.resultBytesMost)) },
  });
});

describe("jobs begin", () => {
  test("when they have a slot, and say so then", async () => {
    const { clock, local, hang } = scene({ slots: 2 });
    hang();
    const began: number[] = [];
    const { signal } = new AbortController();
    const job = () => jobToDo(local.runner, "x", { acceptedAtMs: clock.wallMs() });
    void local.runner.submit(job(), signal, () => began.push(1));
    void local.runner.submit(job(), signal, () => began.push(2));
    await clock.settle();
    expect([began, local.endpoint.inflight]).toEqual([[1], 1]);
  });

  test("while less than half is in use, and no more of them", async () => {
    const { clock, local, submit, hang } = scene({ slots: 4 });
    hang();
    expect(local.runner.busyMs()).toBeUndefined();
    const runs = [submit(), submit(), submit()];
    await clock.settle();
    expect(runs.map(({ ended }) => ended?.kind)).toEqual([undefined, undefined, "again"]);
    expect(local.endpoint.inflight).toBe(2);
    expect(local.runner.busyMs()).toBe(localRule.busyMs);
  });

  test("neither beside half a house of players nor where one waits", async () => {
    const { clock, local, submit, hang } = scene({ slots: 2 });
    hang();
    local.play();
    const run = submit();
    await clock.settle();
    expect(run.ended?.kind).toBe("again");
    expect(local.runner.busyMs()).toBe(localRule.busyMs);
  });
});

describe("jobs make room", () => {
  test("for a player who would have to wait: at once, one for one, the newest first", async () => {
    const { clock, local, submit, hang } = scene({ slots: 4 });
    hang();
    const [first, second] = [submit(), submit()];
    for (let player = 0; player < 2; player += 1) local.play();
    await clock.settle();
    expect([local.endpoint.inflight, local.runner.yields()]).toEqual([4, 0]);
    const third = local.play();
    await clock.settle();
    expect([first.ended, second.ended?.kind]).toEqual([undefined, "again"]);
    expect(second.ended).toMatchObject({ why: "It made room for others." });
    expect([local.endpoint.inflight, local.endpoint.waiting]).toEqual([4, 0]);
    expect(local.wire.open()).toBe(4);
    third.leave();
    await clock.settle();
  });

  test("though the engine has no waiting room: the player is not refused", async () => {
    const { clock, local, submit } = scene({ slots: 1, queueLimit: 0 });
    local.reply = () => ({ chunks: [[60_000, "{}"]] });
    const run = submit();
    await clock.settle();
    local.reply = () => ({ chunks: [[10, '{"ok":true}']] });
    const player = local.play();
    await clock.advance(10);
    expect(run.ended?.kind).toBe("again");
    expect(player.done).toMatchObject({ kind: "answer", status: 200 });
  });

  test("only for players who would rather be there than where they go, or have nowhere else to go", async () => {
    const { clock, local, submit, hang } = scene({ slots: 1, queueLimit: 1, silver: true });
    hang();
    const run = submit("x", { model: "storyteller", messages });
    await clock.settle();
    expect(local.fleet.named("gold-1/silver")?.inflight).toBe(1);
    // The first has the other engine, the second waits there, the third finds both full.
    for (const leaves of [false, false, true]) {
      local.play();
      await clock.settle();
      expect(run.ended?.kind === "again").toBe(leaves);
    }
  });

  test("when the engine says that others keep it busy, within a look", async () => {
    const { clock, local, submit, hang } = scene({ slots: 4 });
    hang();
    const run = submit();
    await clock.advance(playersFirstRule.watchMs);
    expect(run.ended).toBeUndefined();
    local.endpoint.setGauges({ running: 6 }, clock.now());
    await clock.advance(playersFirstRule.watchMs);
    expect(run.ended).toMatchObject({ kind: "again" });
    expect(clock.pending()).toBe(0);
  });

  test("in the middle of a long answer as well", async () => {
    const { clock, local, submit } = scene({ slots: 1 });
    const half = `{"choices":[{"message":{"content":"${"x".repeat(1_200_000)}`;
    local.reply = () => ({ chunks: [[1, half]], end: "never" });
    const run = submit();
    await clock.advance(10);
    expect(run.ended).toBeUndefined();
    local.reply = () => ({ chunks: [[1, '{"ok":true}']] });
    const player = local.play();
    await clock.advance(10);
    expect(run.ended).toMatchObject({ kind: "again", why: "It made room for others." });
    expect(player.done?.kind).toBe("answer");
  });

  test("when the lane cuts them short", async () => {
    const { clock, local, submit, hang } = scene();
    hang();
    const run = submit();
    await clock.settle();
    run.cut();
    await clock.settle();
    expect(run.ended).toMatchObject({ kind: "again", afterMs: 0 });
    expect([local.endpoint.inflight, local.wire.open(), clock.pending()]).toEqual([0, 0, 0]);
  });
});

describe("a job at a peer", () => {
  /** Its router answers so, once the job has a slot there. */
  async function turnedAway(code: "tier_overloaded" | "upstream_failed") {
    const clock = virtualClock();
    const { fleet } = localScene(clock);
    const advert = advertWith([engineThere({ slots: 4 })]);
    fleet.setPeer({ name: "b", boot: "1", state: "alive", advert, advertAt: clock.now() }, clock.now());
    const there = fleet.named("b/vllm");
    if (there === undefined) throw new Error("no b");
    const runner = createLocalRunner({
      dispatch(request) {
        request.taken?.(there);
        const journey = { tried: [], queuedMs: 0, engineMs: 0, because: "pool-full" as const };
        return Promise.resolve({ kind: "refusal", code, message: "No.", retryAfterMs: 60_000, journey });
      },
      playersFirst: createPlayersFirst({ fleet, clock, random: seededRandom(1) }),
      fleet,
      policy: () => localPolicy,
      clock,
    });
    const job = jobToDo(runner, "x", { acceptedAtMs: clock.wallMs() });
    const ended = await runner.submit(job, new AbortController().signal);
    expect(clock.pending()).toBe(0);
    return { ended, yields: runner.yields() };
  }

  test("that is sent away by the peer has made room, and comes again as any that has", async () => {
    expect(await turnedAway("tier_overloaded")).toMatchObject({
      ended: { kind: "again", about: "room", afterMs: localRule.busyMs },
      yields: 1,
    });
  });

  test("that fails there has failed there", async () => {
    expect(await turnedAway("upstream_failed")).toMatchObject({
      ended: { kind: "again", about: "job", afterMs: localRule.failedMs },
      yields: 0,
    });
  });
});
