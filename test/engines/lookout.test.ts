// A look and a watch, in virtual time, at an engine of this host and at one whose router tells no figures of it.

import { describe, expect, test } from "bun:test";
import { seededRandom } from "../../src/base/random.ts";
import type { Answer, Question } from "../../src/engines/ask.ts";
import type { Asked } from "../../src/engines/look.ts";
import type { Lookout, LookoutParts } from "../../src/engines/lookout.ts";
import { createLookout } from "../../src/engines/lookout.ts";
import { openai } from "../../src/engines/openai.ts";
import { peer } from "../../src/engines/peer.ts";
import { vllm } from "../../src/engines/vllm.ts";
import type { Script, ScriptedAsk } from "../support/scripted-ask.ts";
import { exceptFrom, gaps, ok, refused, scriptedAsk, tokens } from "../support/scripted-ask.ts";
import type { VirtualClock } from "../support/virtual-clock.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const tiny: Asked = { path: "/v1/completions", model: "tiny" };

const well = ({ path }: Question): Answer => (path === "/metrics" ? tokens(7) : ok());

const except = exceptFrom(well);

interface Scene {
  readonly clock: VirtualClock;
  readonly engine: ScriptedAsk;
  readonly lookout: Lookout;
  /** When a watched engine answered. */
  readonly answered: number[];
  asked(path: string): number[];
}

function scene(script: Script = well, dialect: LookoutParts["dialect"] = vllm): Scene {
  const clock = virtualClock();
  const engine = scriptedAsk(clock, script);
  const start = clock.now();
  const answered: number[] = [];
  const lookout = createLookout({
    dialect,
    ask: engine.ask,
    clock,
    random: seededRandom(1),
    onAnswered: () => answered.push(clock.now() - start),
  });
  return {
    clock,
    engine,
    lookout,
    answered,
    asked: (path) => engine.asked.filter((question) => question.path === path).map(({ at }) => at - start),
  };
}

describe("a look", () => {
  const question = "/v1/completions";

  test("says answered as soon as the token comes, on a fresh connection", async () => {
    const { clock, engine, lookout } = scene(
      except({ [question]: () => ({ afterMs: 20, answer: ok("{}") }) }),
    );
    const verdict = lookout.look(tiny, 100);
    await clock.advance(21);
    expect(await verdict).toBe("answered");
    expect(engine.asked.find(({ path }) => path === question)?.fresh).toBe(true);
  });

  test("says answered to a 404, for silence has to be proven", async () => {
    const { clock, lookout } = scene(except({ [question]: () => ({ status: 404, body: "" }) }));
    const verdict = lookout.look(tiny, 100);
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
      const { clock, lookout } = scene(except({ [question]: () => answer }));
      const verdict = lookout.look(tiny, 100);
      await clock.advance(1);
      expect(await verdict).toBe("refused");
    });
  }

  test("says silent where not even a connection comes about: a host that has vanished refuses nothing", async () => {
    const { clock, lookout } = scene(except({ [question]: () => ({ failed: "unreachable" }) }));
    const verdict = lookout.look(tiny, 100);
    await clock.advance(100);
    expect(await verdict).toBe("silent");
  });

  test("says silent exactly at its limit when no token comes and the counter stands still", async () => {
    const { clock, lookout } = scene(except({ [question]: () => "never" }));
    let verdict: string | undefined;
    void lookout.look(tiny, 100).then((said) => {
      verdict = said;
    });
    await clock.advance(99);
    expect(verdict).toBeUndefined();
    await clock.advance(1);
    expect(verdict).toBe("silent");
  });

  test("says answered when no token comes but the counter has moved: the engine is slow, not dead", async () => {
    let generated = 0;
    const { clock, lookout } = scene(
      except({
        [question]: () => "never",
        "/metrics": () => {
          generated += 1;
          return tokens(generated);
        },
      }),
    );
    const verdict = lookout.look(tiny, 100);
    await clock.advance(100);
    expect(await verdict).toBe("answered");
  });

  test("says silent when neither the token nor the figures come", async () => {
    const { clock, lookout } = scene(() => "never");
    const verdict = lookout.look(tiny, 100);
    await clock.advance(100);
    expect(await verdict).toBe("silent");
  });

  test("needs no counter where the dialect has none", async () => {
    const { clock, engine, lookout } = scene(() => "never", openai);
    const verdict = lookout.look(tiny, 100);
    await clock.advance(100);
    expect(await verdict).toBe("silent");
    expect(engine.asked.some(({ path }) => path === "/metrics")).toBe(false);
  });

  test("is joined by a second call, and a later one asks again", async () => {
    const { clock, engine, lookout } = scene(except({ [question]: () => "never" }));
    const verdicts = [lookout.look(tiny, 100), lookout.look({ ...tiny, model: "other" }, 100)];
    await clock.advance(100);
    expect(await Promise.all(verdicts)).toEqual(["silent", "silent"]);
    expect(engine.mostOpen(question)).toBe(1);
    engine.script = well;
    const later = lookout.look(tiny, 100);
    await clock.advance(1);
    expect(await later).toBe("answered");
  });

  test("leaves no question open behind it", async () => {
    const { clock, engine, lookout } = scene(except({ "/metrics": () => "never" }));
    void lookout.look(tiny, 1_000);
    await clock.advance(10);
    expect([engine.open.get(question), engine.open.get("/metrics")]).toEqual([0, 0]);
  });
});

describe("a watch", () => {
  const question = "/v1/completions";

  test("sees a healed engine within 2 s, whenever it heals", async () => {
    for (const healAtMs of [3_000, 3_250, 3_500, 3_900]) {
      const { clock, engine, lookout, answered } = scene(except({ [question]: () => "never" }));
      lookout.watch(tiny);
      await clock.advance(healAtMs);
      expect(answered).toEqual([]);
      engine.script = well;
      await clock.advance(2_000);
      expect(answered.length).toBeGreaterThan(0);
    }
  });

  test("asks about every 500 ms while it is answered with refusals", async () => {
    const { clock, lookout, asked } = scene(except({ [question]: () => refused }));
    lookout.watch(tiny);
    await clock.advance(10_000);
    for (const gap of gaps(asked(question))) {
      expect(gap).toBeGreaterThanOrEqual(400);
      expect(gap).toBeLessThanOrEqual(600);
    }
    expect(asked(question).length).toBeGreaterThan(15);
  });

  test("goes on as it is when told the same again, and ends when told so", async () => {
    const { clock, lookout, asked, answered } = scene();
    lookout.watch(tiny);
    lookout.watch(tiny);
    await clock.advance(0);
    expect(asked(question)).toHaveLength(1);
    expect(answered).toEqual([0]);
    lookout.watch(undefined);
    await clock.advance(5_000);
    expect(asked(question)).toHaveLength(1);
  });

  test("has at most one question open", async () => {
    const { clock, engine, lookout } = scene(except({ [question]: () => "never" }));
    lookout.watch(tiny);
    await clock.advance(10_000);
    expect(engine.mostOpen(question)).toBe(1);
  });
});

describe("a lookout at a peer's endpoint", () => {
  test("asks nothing but the one token, and nothing at all before it is told to", async () => {
    const { clock, engine, lookout } = scene(() => "never", peer);
    await clock.advance(10_000);
    expect(engine.asked).toEqual([]);
    const verdict = lookout.look(tiny, 100);
    await clock.advance(100);
    expect(await verdict).toBe("silent");
    expect(engine.asked).toMatchObject([{ path: tiny.path, method: "POST", fresh: true }]);
  });
});

describe("stop", () => {
  test("ends look and watch, and no callback comes after it", async () => {
    const { clock, engine, lookout, answered } = scene(() => "never");
    lookout.watch(tiny);
    const verdict = lookout.look(tiny, 100);
    await clock.advance(10);
    engine.script = well;
    lookout.stop();
    await clock.settle();
    expect(await verdict).toBe("refused");
    const questions = engine.asked.length;
    lookout.watch(tiny);
    await clock.advance(60_000);
    expect(engine.asked).toHaveLength(questions);
    expect(answered).toEqual([]);
  });
});
