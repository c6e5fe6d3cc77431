// Jobs that one router has taken and another router's engine does: that host's players go before them as if they were its own.

import { expect, setDefaultTimeout, test } from "bun:test";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { jobClient, tale } from "../support/bronze.ts";
import { chat, readAll, until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { showFigures } from "../support/failures.ts";
import { measuredUndisturbed } from "../support/measured-undisturbed.ts";
import { startPair } from "../support/pair.ts";
import { engineToml } from "../support/tierline.ts";

setDefaultTimeout(150_000);

const ends = cleanup();
const slots = 4;
const bronze = '[tier.bronze]\nrunner = "local"\n';

/** Jobs are ordered at a host without an engine. `more`: of the host that has one. */
async function pair(more: string) {
  const engine = ends(await startSimulatedEngine({ model: "large", msPerToken: 5, maxNumSeqs: slots }));
  const engines = engineToml("gold", engine.url, `max_concurrent = ${slots}\nmax_queue = ${slots}`);
  const { first, second } = ends(
    await startPair([
      { name: "a", config: bronze },
      { name: "b", config: engines + more },
    ]),
  );
  /** As many players at once as there are slots: the ms until each has its first token. */
  const round = (): Promise<number[]> =>
    Promise.all(
      Array.from({ length: slots }, async () => {
        const began = performance.now();
        const player = { ...tale(), model: "gold", stream: true, max_tokens: 40, ignore_eos: true };
        const answer = await chat(second.url, player);
        const ms = performance.now() - began;
        expect([answer.status, (await readAll(answer)).clean]).toEqual([200, true]);
        return ms;
      }),
    );
  return { engine, first, jobs: jobClient(first.url), round };
}

test.each([
  ["no Bronze", ""],
  ["Bronze of its own", bronze],
])("a host with %s serves its players as soon beside its peer's jobs as without them", async (_, more) => {
  const { engine, first, jobs, round } = await pair(more);
  const rounds = async (pauseMs: number): Promise<number[]> => {
    const took: number[] = [];
    for (let n = 0; n < 6; n += 1) {
      await Bun.sleep(pauseMs);
      took.push(...(await round()));
    }
    return took.toSorted((one, other) => one - other);
  };
  const median = (took: readonly number[]): number => took[took.length >> 1] ?? Number.NaN;
  const worst = (took: readonly number[]): number => took.at(-1) ?? Number.NaN;
  const long = (): object => ({ ...tale(), max_tokens: 150, ignore_eos: true });
  const yieldsNow = () => first.metric("tierline_jobs_yields_total");
  const measure = async () => {
    const alone = await rounds(20);
    const before = await yieldsNow();
    const ids = await Promise.all(Array.from({ length: 3 }, () => jobs.placed(long())));
    await until("they run there", () => engine.stats().running > 0, 15_000);
    // Long enough for jobs to begin again, and too short for them to end.
    const beside = await rounds(600);
    const yields = (await yieldsNow()) - before;
    for (const id of ids) {
      expect((await jobs.get(id, 30)).job).toMatchObject({
        status: "succeeded",
        result: { usage: { completion_tokens: 150 } },
      });
    }
    return {
      yields,
      median: { alone: median(alone), beside: median(beside) },
      worst: { alone: worst(alone), beside: worst(beside) },
    };
  };
  const limits = (alone: { median: number; worst: number }) => ({
    median: 3 * alone.median + 10,
    // A look at what gossip says, which was the way before, takes 250 ms and more.
    worst: 3 * alone.worst + 100,
  });
  await round();
  const figures = await measuredUndisturbed(measure, (each) => {
    const most = limits({ median: each.median.alone, worst: each.worst.alone });
    return each.yields > 0 && each.median.beside < most.median && each.worst.beside < most.worst;
  });
  const refusals = await first.metric("tierline_jobs_refusals_total");
  showFigures("players beside a peer's jobs, ms", { ...figures, refusals });
  const most = limits({ median: figures.median.alone, worst: figures.worst.alone });
  expect(figures.yields).toBeGreaterThan(0);
  expect(figures.median.beside).toBeLessThan(most.median);
  expect(figures.worst.beside).toBeLessThan(most.worst);
  // Having made room counts as no failure of anybody.
  expect(await first.metric("tierline_jobs", { status: "failed" })).toBe(0);
  expect(await first.metric("tierline_breaker_state")).toBe(0);
});
