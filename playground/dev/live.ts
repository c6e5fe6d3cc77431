// A little traffic for as long as somebody watches, and its figures: what each tier answers, how fast, and why.

import type { Asked } from "./ask.ts";
import { ask } from "./ask.ts";
import type { CrowdFigures } from "./crowd.ts";
import { sourcesText, startCrowd } from "./crowd.ts";
import type { House } from "./house.ts";
import type { Screen } from "./screen.ts";
import { duration } from "./screen.ts";

/** Figures are about the last so many seconds. */
const windowMs = 10_000;
const redrawMs = 500;
const lineMs = 5000;

interface Sample extends Asked {
  readonly at: number;
}

/** Runs until `signal` says otherwise. */
export async function live(house: House, screen: Screen, signal: AbortSignal): Promise<void> {
  let samples: Sample[] = [];
  let inFlight = 0;
  const begun = performance.now();

  const send = async (model: string, content: string, maxTokens: number): Promise<void> => {
    inFlight += 1;
    const asked = await ask(house.publicUrl, { model, content, maxTokens });
    inFlight -= 1;
    samples.push({ ...asked, at: performance.now() });
  };
  const crowd = await startCrowd(house.publicUrl);
  const timers = [
    setInterval(() => void send("gold", `Guard ${pick(40)} sees the player. Act?`, 1), 1000 / 12),
    setInterval(() => void send("silver", `Villager ${pick(40)}, what is new?`, 16), 1000 / 3),
  ];

  const show = async (): Promise<void> => {
    const pools = await poolsOf(house.publicUrl);
    const now = performance.now();
    const overMs = Math.min(windowMs, now - begun);
    samples = samples.filter((sample) => sample.at >= now - windowMs);
    const guards = crowd.figures(overMs);
    if (screen.isTerminal) screen.redraw(tableOf(samples, overMs, pools, inFlight, guards, screen));
    else screen.line(`${lineOf(samples, overMs, inFlight)} | ${crowdLine(guards)}`);
  };
  const everyMs = screen.isTerminal ? redrawMs : lineMs;
  while (!signal.aborted) {
    await Bun.sleep(everyMs);
    if (!signal.aborted) await show();
  }
  for (const timer of timers) clearInterval(timer);
  crowd.stop();
}

const pick = (below: number): number => Math.floor(Math.random() * below);

const tiers = ["gold", "silver"] as const;

function tableOf(
  samples: readonly Sample[],
  overMs: number,
  pools: Readonly<Record<string, string>>,
  inFlight: number,
  guards: CrowdFigures,
  screen: Screen,
): string[] {
  const head = `${"tier".padEnd(8)}${"req/s".padStart(7)}${"p50".padStart(10)}${"p99".padStart(10)}${"slots".padStart(10)}   because`;
  const rows = tiers.map((tier) => {
    const own = samples.filter((sample) => sample.tier === tier);
    const p50 = quantile(own, 0.5);
    const p99 = quantile(own, 0.99);
    const figures = `${perSecond(own, overMs).padStart(7)}${p50.padStart(10)}${p99.padStart(10)}${(pools[tier] ?? "").padStart(10)}`;
    return `${tier.padEnd(8)}${figures}   ${screen.dim(becauseOf(own))}`;
  });
  const failed = samples.filter((sample) => sample.status !== 200);
  const failure =
    failed.length === 0 ? "no failures" : screen.bad(`${failed.length} failed: ${failed.at(-1)?.text}`);
  return [
    screen.dim(head),
    ...rows,
    crowdLine(guards),
    screen.dim(`${inFlight} in flight, ${failure}, last ${windowMs / 1000} s`),
  ];
}

const crowdLine = (guards: CrowdFigures): string =>
  `guards ${Math.round(guards.intentsPerSecond)} intents/s, frame p50 ${duration(guards.p50Ms)} p99 ${duration(guards.p99Ms)} (${sourcesText(guards)})`;

function lineOf(samples: readonly Sample[], overMs: number, inFlight: number): string {
  const parts = tiers.map((tier) => {
    const own = samples.filter((sample) => sample.tier === tier);
    return `${tier} ${perSecond(own, overMs)}/s p50 ${quantile(own, 0.5)} p99 ${quantile(own, 0.99)} (${becauseOf(own)})`;
  });
  const failed = samples.filter((sample) => sample.status !== 200).length;
  return `${parts.join(" | ")} | ${inFlight} in flight, ${failed} failed`;
}

function quantile(samples: readonly Sample[], q: number): string {
  const sorted = samples.map((sample) => sample.totalMs).sort((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
  return value === undefined ? "-" : duration(value);
}

const perSecond = (samples: readonly Sample[], overMs: number): string =>
  (samples.length / (overMs / 1000)).toFixed(1);

/** `local-first 38, fallback-from-gold 4`: the most frequent first. */
function becauseOf(samples: readonly Sample[]): string {
  const counts = Map.groupBy(samples, (sample) => sample.because);
  return [...counts]
    .sort(([, a], [, b]) => b.length - a.length)
    .map(([because, own]) => `${because} ${own.length}`)
    .join(", ");
}

/** Slots used and there are, by tier, from the router's own health report. */
async function poolsOf(routerUrl: string): Promise<Record<string, string>> {
  try {
    const response = await fetch(`${routerUrl}/health`, { signal: AbortSignal.timeout(redrawMs) });
    const health: { tiers?: Record<string, { used: number; limit: number }> } = JSON.parse(
      await response.text(),
    );
    return Object.fromEntries(
      Object.entries(health.tiers ?? {}).map(([tier, { used, limit }]) => [tier, `${used}/${limit}`]),
    );
  } catch {
    // The figures are an extra; a router that does not answer shows in the rows themselves.
    return {};
  }
}
