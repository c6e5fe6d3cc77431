// Intents over a dispatch that does what a test says, in virtual time: the stage for the tests of answering.

import { seededRandom } from "../../src/base/random.ts";
import type { Dispatch } from "../../src/dispatch/dispatch.ts";
import type { Dispatched, Journey } from "../../src/dispatch/dispatched.ts";
import type { InferenceRequest } from "../../src/dispatch/inference-request.ts";
import type { QuestionOutcome } from "../../src/dispatch/intent-questions.ts";
import { createIntents } from "../../src/dispatch/intents.ts";
import type { Tier } from "../../src/fleet/endpoint.ts";
import type { EndpointState } from "../../src/fleet/endpoint-state.ts";
import { createFleet } from "../../src/fleet/fleet.ts";
import type { ArchetypeRule } from "../../src/intents/archetype.ts";
import { createArchetypes } from "../../src/intents/archetype.ts";
import type { IntentAnswer } from "../../src/intents/intent-answer.ts";
import { newAnswer } from "../../src/intents/intent-answer.ts";
import { createIntentTable } from "../../src/intents/intent-table.ts";
import { letters, promptOf } from "../../src/intents/prompt.ts";
import { route } from "../../src/routing/route.ts";
import type { RoutingPolicy } from "../../src/routing/sla.ts";
import { advertWith, engineThere, idleLoad } from "../support/adverts.ts";
import { guard } from "../support/archetypes.ts";
import { rungsOf } from "../support/rungs.ts";
import { virtualClock } from "../support/virtual-clock.ts";

/** A thousand situations, so that storms have room. */
export const scout: ArchetypeRule = {
  ...guard,
  name: "scout",
  features: [
    { kind: "buckets", name: "x", edges: Array.from({ length: 99 }, (_, edge) => edge), unit: undefined },
    { kind: "buckets", name: "y", edges: Array.from({ length: 9999 }, (_, edge) => edge), unit: undefined },
  ],
};

const rungs = rungsOf();
const rule = { ladder: [rungs.gold], firstByteMs: 250, totalMs: 2000 } as const;
export const policy: RoutingPolicy = {
  sla: { realtime: rule, interactive: rule, async: rule },
  aliases: new Map([["other", { tier: "gold", model: "n" }]]),
  rungs,
};

/** A chat completion that gives each option its probability. */
export function oddsBody(odds: readonly number[]): Uint8Array {
  const top = odds.map((share, option) => ({ token: letters[option], logprob: Math.log(share) }));
  const [first] = top.toSorted((a, b) => b.logprob - a.logprob);
  const content = [{ ...first, top_logprobs: top }];
  return Buffer.from(
    JSON.stringify({ choices: [{ message: { content: first?.token }, logprobs: { content } }] }),
  );
}

/** All for one option. */
export const surelyBody = (option: number): Uint8Array =>
  oddsBody(Array.from({ length: 6 }, (_, index) => (index === option ? 0.95 : 0.01)));

interface Options {
  readonly slots?: number;
  readonly share?: number;
  readonly rules?: readonly ArchetypeRule[];
  /** Each model has an engine of its own. */
  readonly models?: readonly string[];
  readonly maxEntries?: number;
  /** Of all engines here. */
  readonly tier?: Tier;
  /** Slots of the Gold engine behind each peer, which serves "m". */
  readonly peers?: Readonly<Record<string, number>>;
}

/** A question as the scripted dispatch got it, with a slot of the engine. */
export interface Call {
  readonly request: InferenceRequest;
  readonly prompt: string;
  /** The endpoint that has it. */
  readonly at: string;
  answer(body: Uint8Array, status?: number): void;
  refuse(): void;
}

const journey: Journey = { tried: [], queuedMs: 0, engineMs: 0, because: "local-first" };

export function intentScene(options: Options = {}) {
  const { slots = 4, share = 1, rules = [guard], models = ["m"], maxEntries = 1_000_000 } = options;
  const { tier = "gold", peers = {} } = options;
  const clock = virtualClock();
  const random = seededRandom(1);
  const fleet = createFleet(
    models.map((model) => ({
      spec: { name: `engine-of-${model}`, tier, locality: "local", slots, queueLimit: 0 },
      identity: model,
      models: [model],
    })),
  );
  /** What gossip says of a peer, which is idle by its own word. */
  const hear = (name: string, state: "alive" | "suspect" | "dead" = "alive"): void => {
    const load = { ...idleLoad, at: clock.now() };
    const advert = advertWith([engineThere({ slots: peers[name] ?? 1, load })]);
    fleet.setPeer({ name, boot: "1", state, advert, advertAt: clock.now() }, clock.now());
  };
  for (const name of Object.keys(peers)) hear(name);
  const archetypes = createArchetypes(rules);
  const table = createIntentTable(archetypes, { maxEntries, maxBytes: 2 ** 28 }, clock.now);
  const calls: Call[] = [];
  const outcomes: Record<QuestionOutcome, number> = { answered: 0, failed: 0, unreadable: 0, dropped: 0 };
  const seen = { dispatches: 0, mostInflight: 0 };
  /** The engines that were said to answer something else. */
  const misanswered: string[] = [];

  /** What becomes of a call; undefined: the test says so itself. */
  const script: { reply: ((call: Call) => void) | undefined } = { reply: undefined };

  const dispatch: Dispatch = (request, left) => {
    seen.dispatches += 1;
    const { promise, resolve } = Promise.withResolvers<Dispatched>();
    const decision = route(request, fleet, [], clock.now(), random);
    const endpoint: EndpointState | undefined =
      decision.do === "try" ? fleet.named(decision.endpoint.spec.name) : undefined;
    const refusal: Dispatched = {
      kind: "refusal",
      code: "upstream_failed",
      message: "scripted",
      retryAfterMs: undefined,
      journey,
    };
    if (endpoint === undefined) return Promise.resolve(refusal);
    endpoint.begin("m", false, fleet.nextPick(), clock.now(), {
      shares: request.share !== undefined,
    });
    seen.mostInflight = Math.max(seen.mostInflight, endpoint.inflight);
    let over = false;
    const end = (dispatched: Dispatched): void => {
      if (over) return;
      over = true;
      cancelDeadline();
      calls.splice(calls.indexOf(call), 1);
      const outcome = { kind: "cancelled", model: "m", stream: false, totalMs: 1, shares: true } as const;
      endpoint.end(outcome, clock.now(), random);
      resolve(dispatched);
    };
    const cancelDeadline = clock.after(request.deadline - clock.now(), () => end(refusal));
    left.addEventListener("abort", () => end({ kind: "gone", journey }));
    const call: Call = {
      request,
      prompt: request.question?.prompt ?? "",
      at: endpoint.spec.name,
      answer: (body, status = 200) =>
        end({
          kind: "answer",
          status,
          headers: [],
          body,
          answeredBy: endpoint.spec,
          attempts: 1,
          answeredAt: clock.now(),
          journey,
          cache: "off",
        }),
      refuse: () => end(refusal),
    };
    calls.push(call);
    script.reply?.(call);
    return promise;
  };

  const inForce = { policy };
  const intents = createIntents({
    table,
    dispatch,
    fleet,
    policy: () => inForce.policy,
    clock,
    random,
    engineShare: share,
    events: {
      questionEnded(outcome) {
        outcomes[outcome] += 1;
      },
      engineMisanswered: (endpoint) => void misanswered.push(endpoint),
    },
  });

  const archetype = (name = rules[0]?.name ?? "") => {
    const found = intents.archetypes.named(name);
    if (found === undefined) throw new Error(`no archetype ${name}`);
    return found;
  };

  /** One item as the door would ask it; `answer` is there once it is settled, `times` must never pass 1. */
  const ask = (situation: number, { ms = 14, seed = 1, of = archetype() } = {}) => {
    const asked: { answer: IntentAnswer | undefined; times: number; atMs: number } = {
      answer: undefined,
      times: 0,
      atMs: Number.NaN,
    };
    const began = clock.now();
    const settle = (answer: IntentAnswer): void => {
      asked.answer = answer;
      asked.times += 1;
      asked.atMs = clock.now() - began;
    };
    const into = newAnswer();
    if (intents.fromTable(of, situation, seed, clock.now(), into)) settle(into);
    else intents.wait({ archetype: of, situation, seed }, began + ms, settle);
    return asked;
  };

  /** The calls at the engine, by situation. */
  const asking = (of = archetype()): number[] => {
    const all = calls.map(({ prompt }) => prompt);
    return all.map((prompt) => {
      for (let situation = 0; situation < Math.min(of.situations, 200); situation += 1) {
        if (promptOf(of, situation) === prompt) return situation;
      }
      return Number.NaN;
    });
  };

  /** The only call about the situation. */
  const callOf = (situation: number, of = archetype()): Call => {
    const prompt = promptOf(of, situation);
    const found = calls.find((call) => call.prompt === prompt);
    if (found === undefined) throw new Error(`nobody asks about ${situation}`);
    return found;
  };

  const idle = { waiting: 0, queued: 0, asked: 0 };
  return {
    clock,
    fleet,
    table,
    intents,
    calls,
    outcomes,
    misanswered,
    seen,
    script,
    inForce,
    hear,
    archetype,
    ask,
    asking,
    callOf,
    idle,
  };
}
