// A router whose memory runs short, behind the compiled binary: what it gives up at each step, and that it comes back.

import { describe, expect, test } from "bun:test";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { chat, messages, until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { measured } from "../support/measured.ts";
import { createMemoryGroup, whyNoMemoryGroup } from "../support/memory-group.ts";
import { needsRight } from "../support/needs-tool.ts";
import { openAiErrorOf } from "../support/openai-error.ts";
import type { Tierline } from "../support/tierline.ts";
import { engineToml, startTierline } from "../support/tierline.ts";

const ends = cleanup();

const ask = { model: "gold", messages, max_tokens: 4 };
const memory = { resource: "memory" };
const strain = (tierline: Tierline): Promise<number> => tierline.metric("tierline_host_strain", memory);

const isClosed = async (answer: Promise<Response>): Promise<boolean> =>
  (await answer).headers.get("connection") === "close";

async function cacheLimit(tierline: Tierline): Promise<number> {
  const stats: unknown = await (await fetch(`${tierline.adminUrl}/api/cache/config`)).json();
  const results =
    typeof stats === "object" && stats !== null && "results" in stats ? stats.results : undefined;
  return typeof results === "object" && results !== null && "max_memory_mb" in results
    ? Number(results.max_memory_mb)
    : Number.NaN;
}

describe("memory", () => {
  test("at 85 % of the limit caches are halved, at 92 % connections closed, at 95 % requests refused, and below all is as before (fault 44)", async () => {
    const engine = ends(await startSimulatedEngine({ model: "small", msPerToken: 1 }));
    const engines = engineToml("gold", engine.url);
    const tierline = ends(await startTierline({ config: `${engines}[limits]\nmemory_bytes = "1000GB"\n` }));
    const limits = async (share: number): Promise<void> => {
      const used = (await tierline.metric("tierline_host_pressure_ratio", memory)) * limit;
      limit = Math.max(64_000_000, Math.round(used / share));
      tierline.writeConfig(`${engines}[limits]\nmemory_bytes = ${limit}\n`);
      tierline.signal("SIGHUP");
    };
    let limit = 1e12;
    // Under way all the time, and large enough to be what the memory is full of.
    engine.fault({ kind: "hang", times: 10 });
    const body = JSON.stringify({ ...ask, padding: "x".repeat(3_000_000) });
    const patient = { headers: { "x-tierline-deadline-ms": "60000" } };
    const held = Array.from({ length: 10 }, () => chat(tierline.url, body, patient));
    await until("they are held", () => engine.stats().faultsStruck === 10);
    /** What is used moves by itself, so the limit is set beside it until the step is reached. */
    const reach = async (step: number, share: number): Promise<void> => {
      await until(
        `step ${step}`,
        async () => {
          const now = await strain(tierline);
          if (now === step) return true;
          // A step is left only well below where it begins: who went too far goes back first.
          await limits(now > step ? Math.min(share, 0.8) : share);
          await Bun.sleep(400);
          return (await strain(tierline)) === step;
        },
        15_000,
      );
    };
    expect(await isClosed(chat(tierline.url, ask))).toBe(false);
    const ownLimit = await cacheLimit(tierline);

    await reach(1, 0.885);
    expect(await cacheLimit(tierline)).toBeLessThan(ownLimit);
    expect((await chat(tierline.url, ask)).status).toBe(200);

    await reach(2, 0.935);
    const closing = await chat(tierline.url, ask);
    expect([closing.status, closing.headers.get("connection")]).toEqual([200, "close"]);

    await reach(3, 0.97);
    const refused = await chat(tierline.url, ask);
    expect([refused.status, refused.headers.get("connection")]).toEqual([503, "close"]);
    expect((await openAiErrorOf(refused)).code).toBe("host_overloaded");
    expect(await tierline.metric("tierline_shed_total", { because: "memory" })).toBe(1);
    expect((await fetch(`${tierline.url}/readyz`)).status).toBe(503);
    const health = await fetch(`${tierline.url}/health`);
    expect(await health.json()).toMatchObject({ status: "degraded", short_of: "memory" });
    await tierline.logged((line) => line["msg"] === "short of memory: requests refused");

    engine.clear();
    for (const answer of held) expect((await answer).status).toBe(200);
    await reach(0, 0.5);
    expect(await isClosed(chat(tierline.url, ask))).toBe(false);
    expect(await cacheLimit(tierline)).toBe(ownLimit);
    measured(
      44,
      "caches halved, then connections closed, then requests refused with 503, each in its turn; the 10 requests under way were answered; below 75 % the caches had their limits back and connections stayed open",
    );
  }, 80_000);

  test.skipIf(!needsRight(whyNoMemoryGroup()))(
    "that large requests fill, in a control group with a limit: new ones are refused instead of the process being killed, and it comes back (fault 44)",
    async () => {
      const limit = 400_000_000;
      const engine = ends(await startSimulatedEngine({ model: "small", msPerToken: 1, recorded: 1 }));
      const group = ends(createMemoryGroup(limit));
      const slots = "max_concurrent = 1000";
      const tierline = ends(
        await startTierline({ config: engineToml("gold", engine.url, slots), behind: group.behind }),
      );
      engine.fault({ kind: "hang" });
      const body = JSON.stringify({ ...ask, padding: "x".repeat(2_000_000) });
      const patient = { headers: { "x-tierline-deadline-ms": "60000" } };
      const asked: Promise<Response>[] = [];
      let refusals = 0;
      while (refusals === 0 && asked.length < 400) {
        asked.push(
          chat(tierline.url, body, patient).then((response) => {
            if (response.status === 503) refusals += 1;
            return response;
          }),
        );
        await Bun.sleep(40);
      }
      expect(refusals).toBeGreaterThan(0);
      expect((await openAiErrorOf(await chat(tierline.url, ask))).code).toBe("host_overloaded");
      engine.clear();
      const statuses = (await Promise.all(asked)).map(({ status }) => status);
      const answered = statuses.filter((status) => status === 200).length;
      // The simulated engine has not been told of any limit: what it takes it answers.
      expect(statuses.filter((status) => status !== 200 && status !== 503)).toEqual([]);
      await until(
        "it takes requests again",
        async () => (await chat(tierline.url, ask)).status === 200,
        20_000,
      );
      const peak = group.peakBytes();
      expect(peak).toBeLessThan(limit);
      measured(
        44,
        `in a control group of ${limit / 1e6} MB, ${answered} requests of 2 MB were held and answered, what came after was refused, peak ${Math.round(peak / 1e6)} MB, and it took requests again`,
      );
    },
    60_000,
  );
});
