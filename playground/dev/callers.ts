// Callers who go on asking at one door while something happens to the fleet, and what became of their questions.

import type { Asked, Question } from "./ask.ts";
import { ask } from "./ask.ts";

export interface Answered extends Asked {
  /** When it was asked. */
  readonly at: number;
}

export interface Callers {
  /** What has ended so far, in no order. */
  readonly answers: readonly Answered[];
  /** Asks no more, and waits for what is under way. */
  stop(): Promise<void>;
}

export function startCallers(routerUrl: string, perSecond: number, question: () => Question): Callers {
  const answers: Answered[] = [];
  const underWay = new Set<Promise<void>>();
  const send = async (): Promise<void> => {
    const at = performance.now();
    answers.push({ ...(await ask(routerUrl, question())), at });
  };
  const timer = setInterval(() => {
    const sent = send().finally(() => underWay.delete(sent));
    underWay.add(sent);
  }, 1000 / perSecond);
  return {
    answers,
    async stop() {
      clearInterval(timer);
      await Promise.all(underWay);
    },
  };
}

/** `gold-1 38, gold-2 4`: who answered how many, the busiest first. */
export const hostsText = (answers: readonly Asked[]): string =>
  countsText(answers.map(({ endpoint }) => hostOf(endpoint)).filter((host) => host !== ""));

/** `local-first 38, fallback-from-gold 4`: the most frequent first. */
export const becauseText = (answers: readonly Asked[]): string =>
  countsText(answers.map(({ because }) => because).filter((because) => because !== ""));

/** `gold-1` of `gold-1/vllm`. */
export const hostOf = (endpoint: string): string => endpoint.slice(0, Math.max(0, endpoint.indexOf("/")));

function countsText(words: readonly string[]): string {
  const counts = [...Map.groupBy(words, (word) => word)].map(([word, all]) => [word, all.length] as const);
  return counts
    .sort(([, a], [, b]) => b - a)
    .map(([word, count]) => `${word} ${count}`)
    .join(", ");
}

export const isAnswered = ({ status }: Asked): boolean => status === 200;
