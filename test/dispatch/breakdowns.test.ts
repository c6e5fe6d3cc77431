// Requests that engines die of: what each may still cost, as dispatch sees to it.

import { describe, expect, test } from "bun:test";
import { quarantineRule } from "../../src/fleet/quarantine.ts";
import type { Engine } from "./scene.ts";
import { good, json, scene, status, told } from "./scene.ts";

const reset = { failsWith: "reset" } as const;
const dying: Engine = { replies: [reset] };
const poison = { text: '{"model":"gold","messages":["boom"]}' };

describe("a request that engines die of", () => {
  test("is tried three times, then stopped at once and for good reason, while another passes (fault 49)", async () => {
    const { clock, ask, wireOf, quarantine, expectPeace } = scene({
      a: { replies: [reset, good] },
      b: dying,
      c: dying,
      d: dying,
    });
    const first = ask(poison);
    await clock.advance(1000);
    expect(told(first.done)).toBe("refusal upstream_failed");
    for (const name of ["a", "b", "c", "d"]) quarantine.gone(name, clock.now());
    const asked = (): number =>
      ["a", "b", "c", "d"].reduce((sum, name) => sum + wireOf(name).requests.length, 0);
    expect(asked()).toBe(3);
    const second = ask(poison);
    await clock.advance(0);
    expect(told(second.done)).toBe("refusal upstream_failed");
    expect(second.done?.kind === "refusal" && second.done.message).toContain("stopped");
    expect(second.done?.kind === "refusal" && second.done.journey.because).toBe("quarantined");
    expect(asked()).toBe(3);
    const other = ask({ text: '{"model":"gold","messages":["hello"]}' });
    await clock.advance(1000);
    expect(told(other.done)).toStartWith("answer 200");
    expectPeace();
  });

  test("has only the tries that are left to it, and one more when its time is over", async () => {
    const { clock, ask, wireOf, quarantine } = scene({ a: dying, b: dying, c: dying });
    const one = ask({ ...poison, deadline: clock.now() + 2000 });
    await clock.advance(1000);
    expect(one.done?.kind).toBe("refusal");
    // Of the three that broke one proves to have lived on.
    quarantine.gone("a", clock.now());
    quarantine.gone("b", clock.now());
    await clock.advance(quarantineRule.presumedMs);
    const asked = (): number => ["a", "b", "c"].reduce((sum, name) => sum + wireOf(name).requests.length, 0);
    const before = asked();
    const two = ask({ ...poison, deadline: clock.now() + 2000 });
    await clock.advance(1000);
    expect(two.done?.kind).toBe("refusal");
    expect(asked() - before).toBe(1);
    for (const name of ["a", "b", "c"]) quarantine.gone(name, clock.now());
    await clock.advance(quarantineRule.stoppedMs);
    const three = ask({ ...poison, deadline: clock.now() + 2000 });
    await clock.advance(1000);
    expect(three.done?.kind).toBe("refusal");
    expect(asked() - before).toBe(2);
  });

  test("is not stopped where its engines answer 500 and live", async () => {
    const { clock, ask } = scene({ a: { replies: [status(500)] }, b: { replies: [status(500)] } });
    for (let turn = 0; turn < 20; turn += 1) {
      const asked = ask({ ...poison, deadline: clock.now() + 2000 });
      await clock.advance(quarantineRule.presumedMs);
      expect(asked.done?.kind === "refusal" && asked.done.journey.because).not.toBe("quarantined");
    }
  });

  test("whoever died with it is cleared by its first answer elsewhere", async () => {
    const { clock, ask, quarantine } = scene({ a: { replies: [reset] }, b: { replies: [json("{}", 10)] } });
    const asked = ask(poison);
    await clock.advance(1000);
    expect(told(asked.done)).toStartWith("answer 200 by b");
    quarantine.gone("a", clock.now());
    expect(quarantine.idle).toBe(true);
  });

  test("counts where a kept-alive connection broke on it, and nobody took it the second time", async () => {
    const { clock, ask, quarantine } = scene({
      a: { replies: [{ failsWith: "closed", reused: true }, { failsWith: "refused" }] },
      b: { replies: [{ failsWith: "closed", reused: true }, { failsWith: "refused" }] },
      c: { replies: [{ failsWith: "closed", reused: true }, { failsWith: "refused" }] },
    });
    ask(poison);
    await clock.advance(1000);
    expect(quarantine.stopped(clock.now())).toBe(1);
  });

  test("what a peer forwards is counted there: here it is neither held against nor stopped", async () => {
    const { clock, ask, quarantine } = scene({ a: dying });
    for (let turn = 0; turn < 5; turn += 1) {
      const asked = ask({ ...poison, only: "a", deadline: clock.now() + 2000 });
      await clock.advance(5000);
      expect(asked.done?.kind).toBe("refusal");
      quarantine.gone("a", clock.now());
    }
    expect(quarantine.idle).toBe(true);
  });

  test("two questions about NPCs are two requests, whatever stands in for their body", async () => {
    const { clock, ask, quarantine } = scene({ a: dying, b: dying, c: dying });
    const question = (prompt: string) => ({
      text: "",
      question: { prompt, options: 2, temperature: 0 },
      deadline: clock.now() + 2000,
    });
    ask(question("boom"));
    await clock.advance(1000);
    for (const name of ["a", "b", "c"]) quarantine.gone(name, clock.now());
    const same = ask(question("boom"));
    const other = ask(question("hello"));
    await clock.advance(1000);
    expect(same.done?.kind === "refusal" && same.done.journey.because).toBe("quarantined");
    expect(other.done?.kind === "refusal" && other.done.journey.because).not.toBe("quarantined");
  });
});
