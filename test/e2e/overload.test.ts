// More is asked than the engines can do: who is served, who is told no, and how soon. The compiled binary before simulated
// engines; figures are compared with others of the same run, for machines are of all speeds.

import { describe, expect, test } from "bun:test";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { cleanup } from "../support/cleanup.ts";
import { longRun, showFigures } from "../support/failures.ts";
import { startFlood } from "../support/flood.ts";
import { keysFile } from "../support/keys-file.ts";
import { measured } from "../support/measured.ts";
import { measuredUndisturbed } from "../support/measured-undisturbed.ts";
import type { Ask, Door, Ended } from "../support/offered-load.ts";
import { isOk, keepBusy, offer, openDoor, quantileMs, statusesOf } from "../support/offered-load.ts";
import { startPair } from "../support/pair.ts";
import { engineToml, startTierline } from "../support/tierline.ts";

const ends = cleanup();

const engineOf = (msPerToken: number) =>
  startSimulatedEngine({ model: "small", msPerToken, fullBatchSlowdown: 0, msPerPromptToken: 0 });

const opened = (url: string): Door => {
  const door = openDoor(url);
  ends({ stop: async () => door.close() });
  return door;
};

describe("ten times as many requests as the engines can answer", () => {
  test("are answered at 90 % of the best rate, hardly later than with no load at all, and refused as fast as what nobody serves (fault 29)", async () => {
    const slots = 8;
    // What may wait adds its own wait, on average as many answers as it has places for each slot.
    const places = slots / 8;
    const answerMs = 200;
    const perSecond = (slots * 1000) / answerMs;
    const gold = ends(await engineOf(20));
    const limits = `max_concurrent = ${slots}\nmax_queue = ${places}`;
    const router = ends(await startTierline({ config: engineToml("gold", gold.url, limits) }));
    const door = opened(router.url);
    // Answers of one length would begin and end all together, and whoever comes next would wait for a whole one.
    let turn = 0;
    const ask = (model = "gold"): Promise<Ended> => {
      if (model === "gold") turn += 1;
      return door.ask({ model, tokens: 6 + ((turn * 5) % 9) });
    };
    await keepBusy(2, 0.5, () => ask());

    const seconds = longRun ? 20 : 2.5;
    const measure = async () => {
      // As many requests, which no engine sees: what they take of the machine is not the engines' to answer for.
      const noise = offer(9 * perSecond, 2, () => ask("nobody-serves-this"));
      const idle = await keepBusy(2, 2, () => ask());
      // Nobody can be refused faster than these are.
      const noiseP99 = quantileMs(await noise, 0.99);
      // Every slot and every place in the queue is taken, and nobody is refused.
      const full = await keepBusy(slots + places, seconds, () => ask());
      const began = performance.now();
      const all = await offer(10 * perSecond, seconds, () => ask());
      const answered = all.filter(isOk);
      const refused = all.filter((each) => !isOk(each));
      const inTime = answered.filter(({ endedAtMs }) => endedAtMs <= began + seconds * 1000);
      const last = Math.max(...full.map(({ endedAtMs }) => endedAtMs));
      const first = Math.min(...full.map(({ endedAtMs, tookMs }) => endedAtMs - tookMs));
      return {
        refused,
        full: statusesOf(full),
        overloaded: statusesOf(all),
        idleP99: quantileMs(idle, 0.99),
        peak: (1000 * full.filter(isOk).length) / (last - first),
        goodput: inTime.length / seconds,
        fullP99: quantileMs(full, 0.99),
        admittedP99: quantileMs(answered, 0.99),
        refusedP99: quantileMs(refused, 0.99),
        noiseP99,
        refusedMostMs: Math.max(50, 2 * noiseP99),
      };
    };
    const figures = await measuredUndisturbed(
      measure,
      ({ goodput, peak, admittedP99, idleP99, refusedP99, refusedMostMs }) =>
        goodput >= 0.9 * peak && admittedP99 <= 1.5 * idleP99 && refusedP99 <= refusedMostMs,
    );
    const { refused, ...told } = figures;
    const { goodput, peak, admittedP99, fullP99, refusedP99, idleP99, noiseP99, refusedMostMs } = told;
    showFigures("10x", told);
    const shown = JSON.stringify(told);
    expect(Object.keys(told.full), shown).toEqual(["200"]);
    expect(goodput, shown).toBeGreaterThanOrEqual(0.9 * peak);
    expect(admittedP99, shown).toBeLessThanOrEqual(1.5 * idleP99);
    expect(refusedP99, shown).toBeLessThanOrEqual(refusedMostMs);
    // Refused honestly: when to come back, and that it is worth it.
    expect(refused.length).toBeGreaterThan(5 * perSecond * seconds);
    const waits = new Set(refused.map(({ retryAfterMs }) => retryAfterMs));
    expect(waits.size).toBeGreaterThan(10);
    for (const { status, because, shouldRetry, retryAfterMs } of refused) {
      expect([status, because, shouldRetry]).toEqual([429, "queue-full", "true"]);
      expect(retryAfterMs).toBeGreaterThanOrEqual(20);
      expect(retryAfterMs).toBeLessThan(1000);
    }
    // Nothing was started in vain.
    expect(await router.metric("tierline_attempts_total", { outcome: "deadline" })).toBe(0);
    const rounded = (value: number): string => value.toFixed(0);
    measured(
      29,
      `goodput ${rounded((100 * goodput) / peak)} % of the peak; admitted p99 ${rounded(admittedP99)} ms against ${rounded(fullP99)} ms with every place taken and ${rounded(idleP99)} ms without load (max_queue an eighth of max_concurrent); refusals p99 ${refusedP99.toFixed(1)} ms, 404s at that rate ${noiseP99.toFixed(1)} ms`,
    );
  }, 120_000);

  test("with hardly more time than an answer takes cost the engine nothing that comes too late", async () => {
    const gold = ends(await engineOf(20));
    const router = ends(
      await startTierline({ config: engineToml("gold", gold.url, "max_concurrent = 4\nmax_queue = 64") }),
    );
    const door = opened(router.url);
    await keepBusy(4, 0.5, () => door.ask({ model: "gold", tokens: 5 }));
    const hasty: Ask = { model: "gold", tokens: 5, headers: { "x-tierline-deadline-ms": "240" } };
    const measure = async () => {
      const all = await offer(400, longRun ? 20 : 2, () => door.ask(hasty));
      const late = all.filter(({ status }) => status === 504).length;
      return { all, answered: all.filter(isOk).length, late };
    };
    const few = ({ late, answered }: { late: number; answered: number }): boolean => late < 0.1 * answered;
    const figures = await measuredUndisturbed(measure, (each) => each.answered > 40 && few(each));
    const shown = JSON.stringify(statusesOf(figures.all));
    expect(figures.answered, shown).toBeGreaterThan(40);
    expect(few(figures), shown).toBe(true);
  }, 60_000);
});

describe("a flood of one", () => {
  /** Nine who ask twice a second each, which is less than half of what there is, with and without somebody who asks a hundred at a time. */
  async function nineBeside(
    urls: readonly string[],
    flood: Readonly<Record<string, string>>,
    nine: (turn: number) => Readonly<Record<string, string>>,
  ) {
    const doors = urls.map(opened);
    const tokens = 10;
    const seconds = longRun ? 20 : 4;
    const askNine = () =>
      offer(18, seconds, (turn) => {
        const door = doors[turn % doors.length];
        if (door === undefined) throw new Error("there is no door");
        return door.ask({ model: "gold", tokens, headers: nine(turn) });
      });
    const besideFlood = async (model: string) => {
      const pouring = await startFlood({ urls, atOnce: 100, headers: flood, model, tokens });
      ends({ stop: async () => pouring.stop() });
      await Bun.sleep(300);
      const beside = await askNine();
      return { beside, flooded: await pouring.end() };
    };
    const p99 = (of: readonly Ended[]): number => quantileMs(of, 0.99);
    const measure = async () => {
      const alone = await askNine();
      const figures = await besideFlood("gold");
      let mostMs = 1.25 * p99(alone);
      // Who asks without a pause takes the machine's time as well, and the more the fewer cores it has. That much is
      // taken by the same flood of requests that no engine sees.
      if (p99(figures.beside) > mostMs)
        mostMs = Math.max(mostMs, 1.25 * p99((await besideFlood("nobody-serves-this")).beside));
      return { alone, ...figures, mostMs };
    };
    const { alone, beside, flooded, mostMs } = await measuredUndisturbed(
      measure,
      (all) => p99(all.beside) <= all.mostMs,
    );
    const figures = { alone: p99(alone), beside: p99(beside), mostMs, statuses: statusesOf(beside), flooded };
    showFigures("flood", figures);
    const shown = JSON.stringify(figures);
    expect(alone.every(isOk), shown).toBe(true);
    expect(beside.every(isOk), shown).toBe(true);
    expect(p99(beside), shown).toBeLessThanOrEqual(mostMs);
    // It is served all the same, with what the others leave, and told the truth about the rest.
    expect(flooded["200"] ?? 0, shown).toBeGreaterThan(20);
    expect(flooded["429"] ?? 0, shown).toBeGreaterThan(100);
    expect(Object.keys(flooded).sort(), shown).toEqual(["200", "429"]);
    return `p99 of nine others ${p99(beside).toFixed(0)} ms, ${p99(alone).toFixed(0)} ms without the flood, none of ${beside.length} shed`;
  }

  const session = (name: string) => ({ "x-tierline-session": name });
  const limits = "max_concurrent = 16\nmax_queue = 16";

  test("player leaves the answers of nine others where they were, and none of them is shed (fault 50)", async () => {
    const gold = ends(await engineOf(20));
    const router = ends(await startTierline({ config: engineToml("gold", gold.url, limits) }));
    const figure = await nineBeside([router.url], session("flood"), (turn) => session(`p${turn % 9}`));
    expect(await router.metric("tierline_shed_total", { because: "over-share" })).toBeGreaterThan(0);
    measured(50, `one door: ${figure}`);
  }, 60_000);

  test("key leaves another key's answers where they were (fault 50)", async () => {
    const gold = ends(await engineOf(20));
    const auth = ends(keysFile("arena:arena-key-0123456789", "lobby:lobby-key-0123456789")).toml;
    const router = ends(await startTierline({ config: auth + engineToml("gold", gold.url, limits) }));
    const key = (name: string) => ({ authorization: `Bearer ${name}-key-0123456789` });
    const figure = await nineBeside([router.url], key("lobby"), () => key("arena"));
    measured(50, `two keys: ${figure}`);
  }, 60_000);

  test("player at both doors of a fleet leaves the others at both where they were (fault 50)", async () => {
    const [one, two] = [ends(await engineOf(20)), ends(await engineOf(20))];
    const pair = ends(
      await startPair([
        { name: "gold-1", config: engineToml("gold", one.url, limits) },
        { name: "gold-2", config: engineToml("gold", two.url, limits) },
      ]),
    );
    const urls = [pair.first.url, pair.second.url];
    const figure = await nineBeside(urls, session("flood"), (turn) => session(`p${turn % 9}`));
    measured(50, `two doors: ${figure}`);
  }, 60_000);
});

test("realtime on gold misses no more of its SLA while interactive is offered five times what silver can do", async () => {
  const [gold, silver] = [ends(await engineOf(20)), ends(await engineOf(20))];
  const config =
    engineToml("gold", gold.url, "max_concurrent = 4") +
    engineToml("silver", silver.url, "max_concurrent = 2\nmax_queue = 4");
  const router = ends(await startTierline({ config }));
  const door = opened(router.url);
  const seconds = longRun ? 20 : 3;
  const slaMs = 250;
  // Gold answers 100 of them a second, silver 20 of the others.
  const realtime = () => offer(30, seconds, () => door.ask({ model: "realtime", tokens: 2 }));
  const interactive = () => offer(5 * 20, seconds, () => door.ask({ model: "interactive", tokens: 5 }));
  const misses = (all: readonly Ended[]): number =>
    all.filter((each) => !isOk(each) || each.tookMs > slaMs).length;
  const measure = async () => {
    const alone = await realtime();
    const [beside, others] = await Promise.all([realtime(), interactive()]);
    return { alone, beside, others };
  };
  const { alone, beside, others } = await measuredUndisturbed(
    measure,
    (figures) => misses(figures.beside) <= misses(figures.alone),
  );
  const shown = JSON.stringify({
    alone: quantileMs(alone, 0.99),
    beside: quantileMs(beside, 0.99),
    misses: [misses(alone), misses(beside)],
    others: statusesOf(others),
  });
  showFigures("gold beside silver", JSON.parse(shown));
  expect(misses(beside), shown).toBeLessThanOrEqual(misses(alone));
  // What silver cannot do gold did, as far as it was free, and the rest was told so.
  expect(others.filter(({ because }) => because === "fallback-from-silver").length, shown).toBeGreaterThan(
    20,
  );
  expect(others.filter(({ status }) => status === 429).length, shown).toBeGreaterThan(20);
}, 60_000);

test("of streams at one and a half times what the engine can do hardly one is cut by its deadline, and as many are answered as it can", async () => {
  const slots = 8;
  const gold = ends(await engineOf(10));
  const router = ends(
    await startTierline({
      config: engineToml("gold", gold.url, `max_concurrent = ${slots}\nmax_queue = 64`),
    }),
  );
  const door = opened(router.url);
  const seconds = longRun ? 20 : 4;
  const headers = { "x-tierline-deadline-ms": "900" };
  const ask = (): Promise<Ended> => door.ask({ model: "realtime", tokens: 30, stream: true, headers });
  const measure = async () => {
    const full = await keepBusy(slots, 1.5, ask);
    const peak = full.filter(isOk).length / 1.5;
    const all = await offer(1.5 * peak, seconds, ask);
    return { peak, all };
  };
  const cutOf = (all: readonly Ended[]): number => all.filter(({ status }) => status === 0).length;
  const isGood = ({ peak, all }: Awaited<ReturnType<typeof measure>>): boolean =>
    cutOf(all) <= 0.05 * all.length && all.filter(isOk).length >= 0.8 * peak * seconds;
  const figures = await measuredUndisturbed(measure, isGood);
  const shown = JSON.stringify({ peak: figures.peak, ended: statusesOf(figures.all) });
  showFigures("streams at 1.5x", JSON.parse(shown));
  expect(isGood(figures), shown).toBe(true);
  expect(figures.all.filter(({ because }) => because === "too-late").length, shown).toBeGreaterThan(0);
}, 60_000);

test("realtime is let in before interactive that waits on the same engine, whatever that has still to come to its turn", async () => {
  const gold = ends(await engineOf(20));
  const router = ends(
    await startTierline({ config: engineToml("gold", gold.url, "max_concurrent = 8\nmax_queue = 64") }),
  );
  const door = opened(router.url);
  const patient = (): Promise<Ended> =>
    door.ask({ model: "gold", tokens: 50, stream: true, headers: { "x-tierline-sla": "interactive" } });
  const hasty = (): Promise<Ended> => door.ask({ model: "realtime", tokens: 3, stream: true });
  // It knows how long they take, and nothing of realtime.
  await Promise.all(Array.from({ length: 8 }, patient));
  const measure = async () => {
    const waiting = Promise.all(Array.from({ length: 64 }, patient));
    await Bun.sleep(200);
    const realtime = await offer(6, 1.5, hasty);
    return { realtime, interactive: await waiting };
  };
  const all = await measuredUndisturbed(measure, ({ realtime }) => realtime.every(isOk));
  const shown = JSON.stringify([statusesOf(all.realtime), statusesOf(all.interactive)]);
  expect(all.realtime.every(isOk), shown).toBe(true);
  expect(all.interactive.every(isOk), shown).toBe(true);
}, 60_000);

test("dialogue waits for silver no longer than half of its first byte's time while gold has room", async () => {
  const [gold, silver] = [ends(await engineOf(20)), ends(await engineOf(20))];
  const config =
    engineToml("gold", gold.url, "max_concurrent = 16") +
    engineToml("silver", silver.url, "max_concurrent = 2\nmax_queue = 64");
  const router = ends(await startTierline({ config }));
  const door = opened(router.url);
  const answerMs = 1000;
  const firstByteMs = 2000;
  const ask = (): Promise<Ended> => door.ask({ model: "interactive", tokens: answerMs / 20, stream: true });
  await ask();
  // Silver answers two of them a second, gold has place for twelve.
  const measure = () => offer(6, longRun ? 20 : 4, ask);
  const inTime = ({ status, tookMs }: Ended): boolean => status === 200 && tookMs < firstByteMs + answerMs;
  const all = await measuredUndisturbed(measure, (ended) => ended.every(inTime));
  const reasons = Object.fromEntries(
    Map.groupBy(all, ({ because }) => because)
      .entries()
      .map(([because, { length }]) => [because, length]),
  );
  const shown = JSON.stringify({ longest: quantileMs(all, 1), statuses: statusesOf(all), reasons });
  showFigures("dialogue beside gold", JSON.parse(shown));
  expect(all.every(inTime), shown).toBe(true);
  expect(reasons["fallback-from-silver"], shown).toBeGreaterThan(3);
  expect(reasons["local-full"], shown).toBeGreaterThan(0);
}, 60_000);
