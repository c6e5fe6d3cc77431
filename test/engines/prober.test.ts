// The prober's beats, in virtual time. Its lookout has a test of its own.

import { describe, expect, test } from "bun:test";
import { seededRandom } from "../../src/base/random.ts";
import type { Answer, Question } from "../../src/engines/ask.ts";
import type { EngineGauges } from "../../src/engines/gauges.ts";
import type { Asked } from "../../src/engines/look.ts";
import type { Lookout } from "../../src/engines/lookout.ts";
import { proberRule, startProber } from "../../src/engines/prober.ts";
import { vllm } from "../../src/engines/vllm.ts";
import type { Script, ScriptedAsk } from "../support/scripted-ask.ts";
import { exceptFrom, gaps, ok, refused, scriptedAsk, tokens } from "../support/scripted-ask.ts";
import type { VirtualClock } from "../support/virtual-clock.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const tiny: Asked = { path: "/v1/completions", model: "tiny" };
const models = (...ids: string[]): Answer => ok(JSON.stringify({ data: ids.map((id) => ({ id })) }));

const well = ({ path }: Question): Answer => {
  if (path === "/v1/models") return models("tiny");
  if (path === "/metrics") return tokens(7);
  return ok();
};

const except = exceptFrom(well);

interface Scene {
  readonly clock: VirtualClock;
  readonly engine: ScriptedAsk;
  readonly prober: Lookout;
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

  test("report a list of models only when it has changed, within 1.2 s", async () => {
    const { clock, engine, models: lists } = scene();
    await clock.advance(12_000);
    expect(lists).toEqual([["tiny"]]);
    engine.script = except({ "/v1/models": () => models("tiny", "other") });
    await clock.advance(1_200);
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
