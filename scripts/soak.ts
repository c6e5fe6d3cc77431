// Whether memory grows: `bun run soak` asks for everything there is, mixed, for ten minutes (an hour with
// TIERLINE_LONG=1), `bun run soak aborts` has a million streams begun and left. A number after it says otherwise: minutes,
// or streams. Exits 1 where the router grew by more than it may: 5 % over a mixed run, 20 MB over the streams. In less than
// five minutes the caches are not full yet, and growth is only shown.

import { percentile } from "../bench/rig/statistics.ts";
import { startSimulatedEngine } from "../playground/simulated-engine.ts";
import { chat } from "../test/support/chat.ts";
import { encodeAsk } from "../test/support/frame-client.ts";
import {
  archetypesOf,
  guardToml,
  postFrame,
  postItems,
  scoutFeatures,
  scoutToml,
} from "../test/support/intent-client.ts";
import { leavers } from "../test/support/leavers.ts";
import type { Tierline } from "../test/support/tierline.ts";
import { engineToml, startTierline } from "../test/support/tierline.ts";

const soakRule = {
  growthMost: 0.05,
  judgedFromMinutes: 5,
  /** On a machine that does other things as well some come too late. */
  failedMost: 0.01,
  abortsGrowthBytesMost: 20_000_000,
  sampleEveryMs: 5000,
  /** Of a mixed run, at its beginning: caches fill, the just-in-time compiler compiles. */
  warmUpShare: 0.3,
  warmUpStreams: 10_000,
  streamsPerSecond: 5000,
  /** From one line of figures to the next. */
  streamsAtOnce: 10_000,
} as const;

const [first, second] = process.argv.slice(2);
const isAborts = first === "aborts";
const amount = Number(isAborts ? second : first);
const engine = await startSimulatedEngine({
  model: "small",
  msPerToken: isAborts ? 10 : 2,
  maxNumSeqs: 1024,
  recorded: 1,
});
const slots = "max_concurrent = 1000\nmax_queue = 1000";
const bronze = '[tier.bronze]\nrunner = "local"\n[jobs]\nretention_hours = 1\n';
const caches =
  "[intents]\nmax_entries = 20000\nttl_ms = 500\n[cache.result]\nmax_memory_mb = 8\nttl_seconds = 5\n";
const router = await startTierline({
  config: engineToml("gold", engine.url, slots) + bronze + caches + guardToml + scoutToml,
});
const passed = isAborts ? await aborts(amount || 1_000_000) : await mixed(amount || (longRun() ? 60 : 10));
await router.stop();
await engine.stop();
process.exit(passed ? 0 : 1);

function longRun(): boolean {
  return process.env["TIERLINE_LONG"] === "1";
}

async function aborts(streams: number): Promise<boolean> {
  const { url } = router;
  const { streamsPerSecond: perSecond } = soakRule;
  await leavers({ url, perSecond, seconds: 600, total: soakRule.warmUpStreams, onlyStreams: true });
  const aborted = (): Promise<number> => router.metric("tierline_requests_total", { outcome: "left" });
  const already = await aborted();
  // What is resident depends on when the garbage was last collected, so one figure says little.
  const samples: number[] = [];
  const sampling = setInterval(() => void resident(router).then((bytes) => samples.push(bytes)), 1000);
  let left = 0;
  while (left < streams) {
    // Some are over before their callers have left, and do not count.
    const total = Math.min(streams - left, soakRule.streamsAtOnce);
    const { tookSeconds } = await leavers({ url, perSecond, seconds: 600, total, onlyStreams: true });
    const leftBefore = left;
    left = (await aborted()) - already;
    const rate = Math.round((left - leftBefore) / tookSeconds);
    console.log(`${left} streams, ${inMb(await resident(router))}, ${rate} a second`);
  }
  clearInterval(sampling);
  const { early, late } = ends(samples);
  console.log(
    `${left} aborted streams: ${inMb(early)} early, ${inMb(late)} late, ${inMb(late - early)} more`,
  );
  return late - early <= soakRule.abortsGrowthBytesMost;
}

async function mixed(minutes: number): Promise<boolean> {
  const until = performance.now() + minutes * 60_000;
  const goesOn = (): boolean => performance.now() < until;
  const counts: Record<string, number> = {};
  const loop = async (
    what: string,
    pauseMs: number,
    ask: (turn: number) => Promise<unknown>,
  ): Promise<void> => {
    for (let turn = 0; goesOn(); turn += 1) {
      await ask(turn).then(
        () => {
          counts[what] = (counts[what] ?? 0) + 1;
        },
        (error: unknown) => {
          counts[`${what} failed`] = (counts[`${what} failed`] ?? 0) + 1;
          if (counts[`${what} failed`] === 1) console.error(what, error);
        },
      );
      await Bun.sleep(pauseMs);
    }
  };
  const question = (turn: number) => ({
    model: "gold",
    messages: [{ role: "user", content: `Question ${turn}?` }],
  });
  const read = async (asked: Promise<Response>): Promise<void> => {
    const response = await asked;
    await response.arrayBuffer();
    if (response.status >= 300) throw new Error(`status ${response.status}`);
  };
  const { epoch } = await archetypesOf(router.url);
  const samples: number[] = [];
  const sampling = (async () => {
    while (goesOn()) {
      samples.push(await resident(router));
      await Bun.sleep(soakRule.sampleEveryMs);
    }
  })();
  await Promise.all([
    sampling,
    loop("chats", 5, (turn) => read(chat(router.url, { ...question(turn), max_tokens: 8 }))),
    loop("kept answers", 5, (turn) =>
      read(chat(router.url, { ...question(turn % 500), temperature: 0, max_tokens: 30 })),
    ),
    ...[1, 2, 3, 4].map(() =>
      loop("streams", 5, (turn) =>
        read(chat(router.url, { ...question(turn), stream: true, max_tokens: 50 })),
      ),
    ),
    loop("batches of intents", 10, (turn) => {
      const item = (at: number) => ({
        archetype: "scout",
        npc: at,
        features: scoutFeatures((turn * 64 + at) % 100_000),
      });
      return read(postItems(router.url, { items: Array.from({ length: 64 }, (_, at) => item(at)) }));
    }),
    loop("frames", 10, async (turn) => {
      const asks = Array.from({ length: 64 }, (_, at) => ({
        archetype: 0,
        situation: (turn + at) % 120,
        npc: at,
      }));
      return read(postFrame(router.url, encodeAsk(turn, epoch, asks)));
    }),
    loop("jobs", 200, (turn) =>
      read(
        fetch(`${router.url}/v1/jobs`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ request: { ...question(turn), max_tokens: 8 }, ttl_seconds: 600 }),
        }),
      ),
    ),
    loop("rounds of aborts", 100, () => leavers({ url: router.url, perSecond: 300, seconds: 1 })),
  ]);
  const { early, late } = ends(samples.slice(Math.floor(samples.length * soakRule.warmUpShare)));
  const growth = late / early - 1;
  console.log(JSON.stringify(counts));
  console.log(samples.map((bytes) => Math.round(bytes / 1e6)).join(" "));
  console.log(
    `${minutes} minutes mixed: ${inMb(early)} after the warm-up, ${inMb(late)} at the end, ${(growth * 100).toFixed(1)} %`,
  );
  const all = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const failed = Object.entries(counts).reduce(
    (sum, [what, n]) => sum + (what.endsWith("failed") ? n : 0),
    0,
  );
  const isJudged = minutes >= soakRule.judgedFromMinutes;
  if (!isJudged) console.log(`too short to judge growth: ${soakRule.judgedFromMinutes} minutes or more do`);
  return (!isJudged || growth <= soakRule.growthMost) && failed <= soakRule.failedMost * all;
}

async function resident(tierline: Tierline): Promise<number> {
  return tierline.metric("process_resident_memory_bytes");
}

/** Medians of the first quarter and of the last. */
function ends(samples: readonly number[]): { readonly early: number; readonly late: number } {
  const quarter = Math.max(1, Math.floor(samples.length / 4));
  return {
    early: percentile(samples.slice(0, quarter), 0.5),
    late: percentile(samples.slice(-quarter), 0.5),
  };
}

function inMb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
