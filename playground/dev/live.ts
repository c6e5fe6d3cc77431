// A little traffic for as long as somebody watches, and its figures: a line for each host, and why answers went there.

import type { Asked, Question } from "./ask.ts";
import { ask } from "./ask.ts";
import { becauseText, hostOf } from "./callers.ts";
import type { CrowdFigures } from "./crowd.ts";
import { sourcesText, startCrowd } from "./crowd.ts";
import { membersSeen } from "./fleet-view.ts";
import type { House } from "./house.ts";
import type { Screen } from "./screen.ts";
import { duration } from "./screen.ts";

/** Figures are about the last so many seconds. */
const windowMs = 10_000;
const redrawMs = 500;
const lineMs = 5000;

interface Sample extends Asked {
  readonly at: number;
  /** The host that was asked. */
  readonly door: string;
}

/** Runs until `signal` says otherwise. */
export async function live(house: House, screen: Screen, signal: AbortSignal): Promise<void> {
  let samples: Sample[] = [];
  let turn = 0;
  const begun = performance.now();

  const send = async (question: Question): Promise<void> => {
    turn += 1;
    // A caller whose host cannot be reached asks the next one, as a game's would.
    for (const tries of house.hosts.keys()) {
      const host = house.hosts[(turn + tries) % house.hosts.length];
      if (host === undefined) return;
      const asked = await ask(host.publicUrl, question);
      if (asked.status === 0 && tries + 1 < house.hosts.length) continue;
      samples.push({ ...asked, at: performance.now(), door: host.name });
      return;
    }
  };
  const crowd = await startCrowd(house.gold1.publicUrl);
  const timers = [
    setInterval(
      () => void send({ model: "gold", content: `Guard ${pick(40)} sees the player. Act?`, maxTokens: 1 }),
      1000 / 18,
    ),
    setInterval(
      () => void send({ model: "silver", content: `Villager ${pick(40)}, what is new?`, maxTokens: 16 }),
      1000 / 6,
    ),
  ];

  const show = async (): Promise<void> => {
    const hosts = await hostsNow(house);
    const now = performance.now();
    const overMs = Math.min(windowMs, now - begun);
    samples = samples.filter((sample) => sample.at >= now - windowMs);
    const lines = [...hostLines(hosts, samples, overMs), ...otherLines(samples, crowd.figures(overMs))];
    screen.redraw(lines);
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

interface HostNow {
  readonly name: string;
  readonly state: string;
  readonly slots: string;
}

/** As the first router that answers sees them. */
async function hostsNow({ hosts }: House): Promise<readonly HostNow[]> {
  for (const { adminUrl } of hosts) {
    const members = await membersSeen(adminUrl);
    if (members.length === 0) continue;
    return hosts.map(({ name }) => {
      const member = members.find((each) => each.name === name);
      const sum = (of: "inflight" | "slots"): number =>
        member?.endpoints.reduce((all, endpoint) => all + endpoint[of], 0) ?? 0;
      const state = member?.draining === true ? "draining" : (member?.state ?? "unknown");
      return { name, state, slots: sum("slots") === 0 ? "-" : `${sum("inflight")}/${sum("slots")}` };
    });
  }
  return hosts.map(({ name }) => ({ name, state: "unknown", slots: "-" }));
}

function hostLines(hosts: readonly HostNow[], samples: readonly Sample[], overMs: number): string[] {
  const perSecond = (some: readonly Sample[]): string => (some.length / (overMs / 1000)).toFixed(1);
  const row = (name: string, state: string, ...figures: readonly string[]): string =>
    `${name.padEnd(10)}${state.padEnd(9)}${figures.map((figure) => figure.padStart(11)).join("")}`;
  return [
    row("host", "state", "asked/s", "p50", "p99", "answers/s", "in use"),
    ...hosts.map(({ name, state, slots }) => {
      const asked = samples.filter(({ door }) => door === name);
      const answered = samples.filter(({ endpoint }) => hostOf(endpoint) === name);
      const times = [quantile(asked, 0.5), quantile(asked, 0.99)];
      return row(name, state, perSecond(asked), ...times, perSecond(answered), slots);
    }),
  ];
}

function otherLines(samples: readonly Sample[], guards: CrowdFigures): string[] {
  const failed = samples.filter(({ status }) => status !== 200);
  const last = failed.at(-1);
  return [
    `because   ${becauseText(samples)}`,
    `guards    ${Math.round(guards.intentsPerSecond)}/s at gold-1, p99 ${duration(guards.p99Ms)}: ${sourcesText(guards)}`,
    last === undefined
      ? `failed    none in ${windowMs / 1000} s`
      : `failed    ${failed.length} in ${windowMs / 1000} s: ${last.text}`,
  ];
}

function quantile(samples: readonly Sample[], q: number): string {
  const sorted = samples.map((sample) => sample.totalMs).sort((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
  return value === undefined ? "-" : duration(value);
}
