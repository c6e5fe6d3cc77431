// Half of the one-liners of the game night (bench/game-night starts this and says where the hosts are): a caller who goes
// to the next host where one cannot be reached, and asks again where it is told to.

import { check, sleep } from "k6";
import http from "k6/http";

interface Task {
  /** Of gold, a host each. */
  readonly urls: readonly string[];
  readonly model: string;
  readonly tokens: number;
  readonly perSecond: number;
  readonly inTimeMs: number;
  readonly patienceMs: number;
  /** In ms since 1970. */
  readonly startsAt: number;
  readonly phases: readonly { readonly id: string; readonly fromMs: number; readonly toMs: number }[];
}

const task: Task = JSON.parse(__ENV["TASK"] ?? "{}");
const lastMs = task.phases[task.phases.length - 1]?.toMs ?? 0;
const retries = 2;

const thresholds: Record<string, string[]> = {};
// A threshold that always holds: it is how k6 is told to sum up a part.
for (const { id } of task.phases) {
  thresholds[`checks{phase:${id}}`] = ["rate>=0"];
  thresholds[`http_req_duration{phase:${id}}`] = ["max>=0"];
}

export const options = {
  scenarios: {
    "one-liners": {
      executor: "constant-arrival-rate",
      rate: task.perSecond,
      timeUnit: "1s",
      duration: `${Math.ceil(lastMs / 1_000)}s`,
      preAllocatedVUs: 50,
      maxVUs: 400,
    },
  },
  thresholds,
  summaryTrendStats: ["med", "p(90)", "p(95)", "p(99)", "max"],
};

/** So that the phases are everybody's. */
export function setup(): void {
  sleep(Math.max(0, task.startsAt - Date.now()) / 1_000);
}

export default function (): void {
  const fromMs = Date.now();
  const atMs = fromMs - task.startsAt;
  const phase = task.phases.find((each) => atMs >= each.fromMs && atMs < each.toMs)?.id ?? "none";
  let host = __ITER % task.urls.length;
  let good = false;
  for (let tried = 0; tried <= retries; tried += 1) {
    const answer = http.post(
      `${task.urls[host]}/v1/chat/completions`,
      JSON.stringify({
        model: task.model,
        max_tokens: task.tokens,
        messages: [
          { role: "user", content: `Passer-by ${__VU}-${__ITER} nods at you. Say something short.` },
        ],
      }),
      {
        headers: { "content-type": "application/json", "x-tierline-sla": "realtime" },
        timeout: `${task.patienceMs}ms`,
        tags: { phase },
      },
    );
    good = answer.status === 200;
    const told = answer.headers["X-Should-Retry"];
    const mayHelp = answer.status === 0 || answer.status === 429 || answer.status >= 500;
    if (good || told === "false" || !mayHelp) break;
    if (answer.status === 0) host = (host + 1) % task.urls.length;
    else sleep(Number(answer.headers["Retry-After-Ms"] ?? 500) / 1_000);
  }
  const ms = Date.now() - fromMs;
  check(null, { "a line in time": () => good && ms <= task.inTimeMs }, { phase });
}
