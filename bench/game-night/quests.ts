// Quests: work that nobody waits for and that must not be lost. With the router a job, ordered once and asked for until it
// is done; without it a plain request with much patience, which the game makes twice again.

import { brokenBy, call } from "./call.ts";
import { cast, engines, patience } from "./cast.ts";
import type { Stage } from "./stage.ts";

export interface QuestLedger {
  readonly asked: number;
  /** Somebody has promised to do it. */
  readonly accepted: number;
  readonly finished: number;
  /** Accepted and never finished. */
  readonly lost: number;
}

/** After the evening the last quests have so long. */
const questGraceMs = 45_000;

export async function playQuests(stage: Stage): Promise<QuestLedger> {
  const ledger = { asked: 0, accepted: 0, finished: 0, lost: 0 };
  const underWay: Promise<void>[] = [];
  const everyMs = 1_000 / cast.questsPerSecond;
  for (let dueMs = everyMs / 2; dueMs < stage.endMs; dueMs += everyMs) {
    await Bun.sleep(Math.max(0, dueMs - stage.nowMs()));
    const turn = underWay.length;
    underWay.push(stage.withRouter ? order(stage, turn, ledger) : request(stage, turn, ledger));
  }
  await Promise.all(underWay);
  return ledger;
}

type Ledger = { -readonly [Count in keyof QuestLedger]: QuestLedger[Count] };

const messages = (turn: number) => [
  { role: "user", content: `A quest, number ${turn}, about a hammer that was lost. In three acts.` },
];

async function order(stage: Stage, turn: number, ledger: Ledger): Promise<void> {
  const atMs = stage.nowMs();
  ledger.asked += 1;
  const givenUp = AbortSignal.timeout(patience.questMs);
  const ordered = await call({
    doors: stage.doors,
    home: turn,
    tier: "silver",
    path: "/v1/jobs",
    signal: givenUp,
    headers: { "idempotency-key": `quest-${turn}` },
    body: { request: { max_tokens: cast.questTokens, ignore_eos: true, messages: messages(turn) } },
  });
  if (ordered.kind === "failed") {
    stage.note("quests", { atMs, good: false, why: `not accepted: ${ordered.why}` });
    return;
  }
  let job = (await ordered.response.json().catch(() => undefined)) as Job | undefined;
  if (job === undefined) {
    stage.note("quests", { atMs, good: false, why: "not accepted: the answer was cut" });
    return;
  }
  ledger.accepted += 1;
  let said = "";
  while (isOpen(job) && stage.nowMs() < stage.endMs + questGraceMs) {
    const asked = await ask(stage, turn, job);
    if (typeof asked === "string") {
      said = `, ${asked}`;
      await Bun.sleep(500);
    } else {
      said = "";
      job = asked;
    }
  }
  const finished = job.status === "succeeded";
  if (finished) ledger.finished += 1;
  else ledger.lost += 1;
  const why = finished ? "finished" : `accepted, then ${job.status}${said}`;
  stage.note("quests", { atMs, ms: stage.nowMs() - atMs, good: finished, why });
}

interface Job {
  readonly id: string;
  readonly status: string;
}

const isOpen = ({ status }: Job): boolean => status === "queued" || status === "running";

/** How it stands, or why nobody can say. */
async function ask(stage: Stage, turn: number, { id }: Job): Promise<Job | string> {
  const end = await call({
    doors: stage.doors,
    home: turn,
    tier: "silver",
    path: `/v1/jobs/${id}?wait=5`,
    signal: AbortSignal.timeout(10_000),
  });
  if (end.kind === "failed") return end.why;
  return end.response.json().catch(brokenBy) as Promise<Job | string>;
}

async function request(stage: Stage, turn: number, ledger: Ledger): Promise<void> {
  const atMs = stage.nowMs();
  ledger.asked += 1;
  ledger.accepted += 1;
  const end = await call({
    doors: stage.doors,
    home: turn,
    tier: "silver",
    path: "/v1/chat/completions",
    signal: AbortSignal.timeout(patience.questMs),
    body: {
      model: engines.silver.model,
      max_tokens: cast.questTokens,
      ignore_eos: true,
      // Less than players: vLLM's own order.
      priority: 10,
      messages: messages(turn),
    },
  });
  const broken =
    end.kind === "failed"
      ? end.why
      : await end.response.arrayBuffer().then(
          () => undefined,
          (error: unknown) => `broken off: ${brokenBy(error)}`,
        );
  if (broken === undefined) ledger.finished += 1;
  else ledger.lost += 1;
  stage.note("quests", {
    atMs,
    ...(broken === undefined ? { ms: stage.nowMs() - atMs } : {}),
    good: broken === undefined,
    why: broken ?? "finished",
  });
}
