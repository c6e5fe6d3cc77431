// The prober's beats, its look and its watch, in virtual time.

import { describe, expect, test } from "bun:test";
import { seededRandom } from "../../src/base/random.ts";
import type { Answer, Question } from "../../src/engines/ask.ts";
import type { EngineGauges } from "../../src/engines/gauges.ts";
import type { Asked } from "../../src/engines/look.ts";
import { openai } from "../../src/engines/openai.ts";
import type { Prober } from "../../src/engines/prober.ts";
import { proberRule, startProber } from "../../src/engines/prober.ts";
import { vllm } from "../../src/engines/vllm.ts";
import type { Script, ScriptedAsk } from "../support/scripted-ask.ts";
import { scriptedAsk } from "../support/scripted-ask.ts";
import type { VirtualClock } from "../support/virtual-clock.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const tiny: Asked = { path: "/v1/completions", model: "tiny" };
const refused: Answer = { failed: "refused" };
const ok = (body = ""): Answer => ({ status: 200, body });
const models = (...ids: string[]): Answer => ok(JSON.stringify({ data: ids.map((id) => ({ id })) }));
const tokens = (count: number): Answer => ok(`vllm:generation_tokens_total{engine="0"} ${count}\n`);

const well = ({ path }: Question): Answer => {
  if (path === "/v1/models") return models("tiny");
  if (path === "/metrics") return tokens(7);
  return ok();
};

/** A well engine but for some paths. */
const except =
  (others: Record<string, Script>): Script =>
  (question) =>
    others[question.path]?.(question) ?? well(question);

interface Scene {
  readonly clock: VirtualClock;
  readonly engine: ScriptedAsk;
  readonly prober: Prober;
  readonly health: string[];
  readonly models: (readonly string[])[];
  readonly gauges: EngineGauges[];
  /** When a watched engine answered. */
  readonly answered: number[];
  asked(path: string): number[];
}

function scene(script: Script = well, dialect = vllm): Scene {
  const clock = virtualClock();
  const engine = scriptedAsk(clock, script);
  const start = clock.now();
  const heard = {
    health: [] as string[],
    models: [] as (readonly string[])[],
    gauges: [] as EngineGauges[],
    answered: [] as number[],
  };
  const prober = startProber({
    dialect,
    ask: engine.ask,
    clock,
    random: seededRandom(1),
    onHealth: (verdict) => heard.health.push(verdict),
    onModels: (list) => heard.models.push(list),
    onGauges: (gauges) => heard.gauges.push(gauges),
    onAnswered: () => heard.answered.push(clock.now() - start),
  });
  return {
    ...heard,
    clock,
    engine,
    prober,
    asked: (path) => engine.asked.filter((question) => question.path === path).map(({ at }) => at - start),
  };
}

const gaps = (instants: readonly number[]): number[] =>
  instants.slice(1).map((instant, index) => instant - (instants[index] ?? 0));

describe("the beats", () => {
  test("ask for health, models and figures at once, before any time has passed", async () => {
    const { clock, health, models, gauges } = scene();
    await clock.advance(0);
    expect(health).toEqual(["ok"]);
    expect(models).toEqual([["tiny"]]);
    expect(gauges).toEqual([{ generatedTokens: 7 }]);
  });

  test("ask for health every second ±20 %, with a jitter that is not always the same", async () => {
    const { clock, asked } = scene();
    await clock.advance(20_000);
    const between = gaps(asked("/health"));
    expect(between.length).toBeGreaterThanOrEqual(16);
    for (const gap of between) {
      expect(gap).toBeGreaterThanOrEqual(800);
      expect(gap).toBeLessThanOrEqual(1200);
    }
    expect(new Set(between.map(Math.round)).size).toBeGreaterThan(5);
  });

  test("never read figures faster than the dialect allows", async () => {
    const { clock, asked } = scene();
    await clock.advance(20_000);
    expect(asked("/metrics").length).toBeGreaterThanOrEqual(8);
    for (const gap of gaps(asked("/metrics"))) expect(gap).toBeGreaterThanOrEqual(vllm.gauges?.everyMs ?? 0);
  });

  test("report a list of models only when it has changed, within 6 s", async () => {
    const { clock, engine, models: lists } = scene();
    await clock.advance(12_000);
    expect(lists).toEqual([["tiny"]]);
    engine.script = except({ "/v1/models": () => models("tiny", "other") });
    await clock.advance(6_000);
    expect(lists).toEqual([["tiny"], ["tiny", "other"]]);
  });

  test("report empty figures where the engine shows none, so that old ones do not linger", async () => {
    const { clock, engine, gauges } = scene();
    await clock.advance(0);
    engine.script = except({ "/metrics": () => ok("python_info 1\n") });
    await clock.advance(2_500);
    expect(gauges).toEqual([{ generatedTokens: 7 }, {}]);
  });

  test("have at most one question of a kind open while the engine hangs", async () => {
    const { clock, engine } = scene(() => "never");
    await clock.advance(30_000);
    expect(engine.asked.length).toBeGreaterThan(15);
    for (const path of ["/health", "/v1/models", "/metrics"]) expect(engine.mostOpen(path)).toBe(1);
  });
});

describe("health", () => {
  test("is not vetoed by one failed check", async () => {
    let checks = 0;
    const { clock, health } = scene(
      except({
        "/health": () => {
          checks += 1;
          return checks % 2 === 0 ? refused : ok();
        },
      }),
    );
    await clock.advance(20_000);
    expect(checks).toBeGreaterThan(20);
    expect(health).toEqual(["ok"]);
  });

  test("is vetoed by the second failed check in a row, at most 300 ms after the first", async () => {
    const { clock, engine, health, asked } = scene();
    await clock.advance(0);
    engine.script = except({ "/health": () => ({ status: 503, body: "" }) });
    await clock.advance(1_500);
    expect(health).toEqual(["ok", "unhealthy"]);
    const [, second, third] = asked("/health");
    expect((third ?? Infinity) - (second ?? 0)).toBeLessThanOrEqual(300);
  });

  test("is lifted by one good check, and the models are asked for again at once", async () => {
    const { clock, engine, health, models: lists } = scene(except({ "/health": () => refused }));
    await clock.advance(10_000);
    expect(health).toEqual(["unhealthy"]);
    engine.script = except({ "/v1/models": () => models("reborn") });
    await clock.advance(1_200);
    expect(health).toEqual(["unhealthy", "ok"]);
    expect(lists.at(-1)).toEqual(["reborn"]);
  });

  test("is asked after 250 ms when it failed, then more and more slowly, down to once a second", async () => {
    const { clock, asked } = scene(except({ "/health": () => refused }));
    await clock.advance(15_000);
    const between = gaps(asked("/health"));
    const middles = [250, 500, 1000, 1000, 1000, 1000];
    for (const [index, middle] of middles.entries()) {
      expect(between[index]).toBeGreaterThanOrEqual(middle * 0.8);
      expect(between[index]).toBeLessThanOrEqual(middle * 1.2);
    }
  });

  test("is unknown, not bad, where the check is late: lateness is no veto", async () => {
    const { clock, health } = scene(except({ "/health": () => "never" }));
    await clock.advance(2 * proberRule.healthTimeoutMs + 400);
    expect(health).toEqual(["unknown"]);
  });

  test("is unknown, not bad, where the engine has no such check", async () => {
    const { clock, health } = scene(except({ "/health": () => ({ status: 404, body: "" }) }));
    await clock.advance(5_000);
    expect(health).toEqual(["unknown"]);
  });
});

describe("a look", () => {
  const question = "/v1/completions";

  test("says answered as soon as the token comes, on a fresh connection", async () => {
    const { clock, engine, prober } = scene(
      except({ [question]: () => ({ afterMs: 20, answer: ok("{}") }) }),
    );
    const verdict = prober.look(tiny, 100);
    await clock.advance(21);
    expect(await verdict).toBe("answered");
    expect(engine.asked.find(({ path }) => path === question)?.fresh).toBe(true);
  });

  test("says answered to a 404, for silence has to be proven", async () => {
    const { clock, prober } = scene(except({ [question]: () => ({ status: 404, body: "" }) }));
    const verdict = prober.look(tiny, 100);
    await clock.advance(1);
    expect(await verdict).toBe("answered");
  });

  for (const [what, answer] of [
    ["a connection refused", refused],
    ["429", { status: 429, body: "" }],
    ["500", { status: 500, body: "" }],
    ["503", { status: 503, body: "" }],
  ] as const) {
    test(`says refused to ${what}`, async () => {
      const { clock, prober } = scene(except({ [question]: () => answer }));
      const verdict = prober.look(tiny, 100);
      await clock.advance(1);
      expect(await verdict).toBe("refused");
    });
  }

  test("says silent exactly at its limit when no token comes and the counter stands still", async () => {
    const { clock, prober } = scene(except({ [question]: () => "never" }));
    let verdict: string | undefined;
    void prober.look(tiny, 100).then((said) => {
      verdict = said;
    });
    await clock.advance(99);
    expect(verdict).toBeUndefined();
    await clock.advance(1);
    expect(verdict).toBe("silent");
  });

  test("says answered when no token comes but the counter has moved: the engine is slow, not dead", async () => {
    let generated = 0;
    const { clock, prober } = scene(
      except({
        [question]: () => "never",
        "/metrics": () => {
          generated += 1;
          return tokens(generated);
        },
      }),
    );
    const verdict = prober.look(tiny, 100);
    await clock.advance(100);
    expect(await verdict).toBe("answered");
  });

  test("says silent when neither the token nor the figures come", async () => {
    const { clock, prober } = scene(() => "never");
    const verdict = prober.look(tiny, 100);
    await clock.advance(100);
    expect(await verdict).toBe("silent");
  });

  test("needs no counter where the dialect has none", async () => {
    const { clock, engine, prober } = scene(() => "never", openai);
    const verdict = prober.look(tiny, 100);
    await clock.advance(100);
    expect(await verdict).toBe("silent");
    expect(engine.asked.some(({ path }) => path === "/metrics")).toBe(false);
  });

  test("is joined by a second call, and a later one asks again", async () => {
    const { clock, engine, prober } = scene(except({ [question]: () => "never" }));
    const verdicts = [prober.look(tiny, 100), prober.look({ ...tiny, model: "other" }, 100)];
    await clock.advance(100);
    expect(await Promise.all(verdicts)).toEqual(["silent", "silent"]);
    expect(engine.mostOpen(question)).toBe(1);
    engine.script = well;
    const later = prober.look(tiny, 100);
    await clock.advance(1);
    expect(await later).toBe("answered");
  });

  test("leaves no question open behind it", async () => {
    const { clock, engine, prober } = scene(except({ "/metrics": () => "never" }));
    void prober.look(tiny, 1_000);
    await clock.advance(10);
    // The beat's own reading may be open; the look's must not be.
    expect(engine.open.get(question)).toBe(0);
    expect(engine.open.get("/metrics")).toBe(1);
  });
});

describe("a watch", () => {
  const question = "/v1/completions";

  test("sees a healed engine within 2 s, whenever it heals", async () => {
    for (const healAtMs of [3_000, 3_250, 3_500, 3_900]) {
      const { clock, engine, prober, answered } = scene(except({ [question]: () => "never" }));
      prober.watch(tiny);
      await clock.advance(healAtMs);
      expect(answered).toEqual([]);
      engine.script = well;
      await clock.advance(2_000);
      expect(answered.length).toBeGreaterThan(0);
    }
  });

  test("asks about every 500 ms while it is answered with refusals", async () => {
    const { clock, prober, asked } = scene(except({ [question]: () => refused }));
    prober.watch(tiny);
    await clock.advance(10_000);
    for (const gap of gaps(asked(question))) {
      expect(gap).toBeGreaterThanOrEqual(400);
      expect(gap).toBeLessThanOrEqual(600);
    }
    expect(asked(question).length).toBeGreaterThan(15);
  });

  test("goes on as it is when told the same again, and ends when told so", async () => {
    const { clock, prober, asked, answered } = scene();
    prober.watch(tiny);
    prober.watch(tiny);
    await clock.advance(0);
    expect(asked(question)).toHaveLength(1);
    expect(answered).toEqual([0]);
    prober.watch(undefined);
    await clock.advance(5_000);
    expect(asked(question)).toHaveLength(1);
  });

  test("has at most one question open", async () => {
    const { clock, engine, prober } = scene(except({ [question]: () => "never" }));
    prober.watch(tiny);
    await clock.advance(10_000);
    expect(engine.mostOpen(question)).toBe(1);
  });
});

describe("stop", () => {
  test("ends beats, look and watch, and no callback comes after it", async () => {
    const { clock, engine, prober, health, models: lists, gauges, answered } = scene(() => "never");
    prober.watch(tiny);
    const verdict = prober.look(tiny, 100);
    await clock.advance(10);
    engine.script = well;
    prober.stop();
    await clock.settle();
    expect(await verdict).toBe("refused");
    const questions = engine.asked.length;
    prober.watch(tiny);
    await clock.advance(60_000);
    expect(engine.asked).toHaveLength(questions);
    expect([health, lists, gauges, answered]).toEqual([[], [], [], []]);
  });
});
