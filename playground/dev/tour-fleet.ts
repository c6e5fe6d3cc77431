// The tour's fleet: what a router knows of its peers, and what callers notice when hosts die, come back and drain.

import { ask } from "./ask.ts";
import type { Answered } from "./callers.ts";
import { becauseText, hostOf, hostsText, isAnswered, startCallers } from "./callers.ts";
import type { Screen } from "./screen.ts";
import { duration } from "./screen.ts";
import type { Step } from "./telling.ts";
import { check, guard, showWay } from "./telling.ts";
import { until } from "./until.ts";

export const theyAreOne: Step = async (house, screen) => {
  screen.heading("tierline status: the fleet as gold-1 knows it, by gossip");
  const { code, lines } = await house.gold1.tierline("status");
  screen.quote(lines);
  const known = lines.some((line) => line.includes(`${house.hosts.length} alive`));
  return check(screen, code === 0 && known, "gold-1 should know the others");
};

const callersPerSecond = 60;
const beforeMs = 1000;
const afterMs = 2500;

export const hostIsKilled: Step = async (house, screen) => {
  screen.heading("A host dies under its callers, and they do not notice");
  screen.row("callers", `${callersPerSecond} questions a second for Gold at silver-1, which has none itself`);
  const callers = startCallers(house.silver1.publicUrl, callersPerSecond, () => guard("Act? A: go, B: stay"));
  await Bun.sleep(beforeMs);
  const killedAt = performance.now();
  await house.gold2.crash();
  screen.row("kill -9", "gold-2, router and engine");
  await Bun.sleep(afterMs);
  await callers.stop();
  showBeforeAndAfter(callers.answers, killedAt, screen);
  const { lines } = await house.silver1.tierline("status");
  for (const line of lines.filter((each) => each.startsWith("!"))) screen.paragraph("status", line);
  const before = callers.answers.filter(({ at }) => at < killedAt);
  const kept =
    callers.answers.every(isAnswered) && before.some(({ endpoint }) => hostOf(endpoint) === "gold-2");
  return check(screen, kept, "both should have answered, and the death should have cost no answer");
};

export const lastGoldIsKilled: Step = async (house, screen) => {
  screen.heading("The last Gold engine dies too, and Silver answers for it");
  await house.gold1.crashEngine();
  screen.row("kill -9", "the engine of gold-1, and at once a question for Gold, three times");
  let fine = true;
  for (let turn = 0; turn < 3; turn += 1) {
    const asked = await ask(house.gold1.publicUrl, guard("The player runs. A: follow, B: stay?"));
    showWay(asked, screen);
    fine &&= asked.status === 200 && asked.tier === "silver";
  }
  return check(screen, fine, "Silver should have answered for Gold");
};

/** A router asks a lost engine after its health every few seconds. */
const returnWithinMs = 20_000;

export const hostsReturn: Step = async (house, screen) => {
  screen.heading("Both come back, and are asked again");
  const returned = async (
    who: string,
    start: () => Promise<void>,
    door: string,
    endpoint: string,
  ): Promise<boolean> => {
    const from = performance.now();
    await start();
    const answers = await until(
      async () => (await ask(door, guard("The player is gone. A: patrol, B: rest?"))).endpoint === endpoint,
      returnWithinMs,
    );
    screen.row("start", `${who}, which answers again ${duration(performance.now() - from)} later`);
    return answers;
  };
  const { gold1, gold2, silver1 } = house;
  const engine = await returned("the engine of gold-1", gold1.restartEngine, gold1.publicUrl, "gold-1/vllm");
  const host = await returned("gold-2", gold2.restart, silver1.publicUrl, "gold-2/vllm");
  return check(screen, engine && host, "both should be back");
};

export const hostDrains: Step = async (house, screen) => {
  screen.heading("A host is drained for its update, and loses nothing");
  const { gold1 } = house;
  screen.row("callers", `${callersPerSecond} questions a second for Gold at gold-1`);
  const callers = startCallers(gold1.publicUrl, callersPerSecond, () => guard("Act? A: go, B: stay"));
  await Bun.sleep(beforeMs);
  const drainedAt = performance.now();
  const drained = await gold1.tierline("drain");
  screen.row("drain", drained.lines.at(-1) ?? "");
  await Bun.sleep(beforeMs);
  await callers.stop();
  showBeforeAndAfter(callers.answers, drainedAt, screen);
  const undrained = await gold1.tierline("undrain");
  screen.row("undrain", undrained.lines.at(-1) ?? "");
  const kept = callers.answers.every(isAnswered) && drained.code === 0 && undrained.code === 0;
  return check(screen, kept, "every caller should have had an answer, from gold-2");
};

/** `at`: what has happened. */
function showBeforeAndAfter(answers: readonly Answered[], at: number, screen: Screen): void {
  const show = (name: string, some: readonly Answered[]): void =>
    screen.row(name, `${hostsText(some)}; ${becauseText(some)}`);
  show(
    "before",
    answers.filter((answer) => answer.at < at),
  );
  show(
    "after",
    answers.filter((answer) => answer.at >= at),
  );
  const failed = answers.filter((answer) => !isAnswered(answer));
  const slowest = Math.max(0, ...answers.map(({ totalMs }) => totalMs));
  const text = `${failed.length} of ${answers.length} failed, the slowest took ${duration(slowest)}`;
  screen.row("callers", failed.length === 0 ? screen.good(text) : screen.bad(`${text}: ${failed[0]?.text}`));
}
