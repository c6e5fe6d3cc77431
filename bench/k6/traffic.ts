// What each kind of caller sends, what it may expect, and how often: rows that the scenario files pick from.
// Against the simulated engines of `bun run dev`, which take 9 ms (gold) and 25 ms (silver) for a token.

import { check } from "k6";
import http from "k6/http";
import type { Scenario } from "k6/options";

const baseUrl = __ENV["BASE_URL"] ?? "http://127.0.0.1:8010";
const key = __ENV["API_KEY"];
const duration = __ENV["DURATION"] ?? "30s";
const gameServers = Number(__ENV["GAME_SERVERS"] ?? 8);

/** What a game server asks in a tick: all NPCs that must decide now, in one batch. */
const tick = { perSecond: 30, npcs: 32 };

interface Traffic {
  readonly perSecond: number;
  /** Of k6's virtual users: requests under way at a time, with room to spare. */
  readonly users: number;
  readonly thresholds: Record<string, string[]>;
}

/** Names are tags on every figure: `sla` is the class, `kind` tells dialogue from its streamed form. */
export const traffic = {
  // A frame has 16 ms: one token of Gold and the way there and back.
  realtime: {
    perSecond: 100,
    users: 20,
    thresholds: {
      "http_req_duration{kind:realtime}": ["p(95)<16", "p(99)<50"],
      "http_req_failed{kind:realtime}": ["rate<0.001"],
    },
  },
  // One tick of one game server, whole: what is not in the table waits for Gold, and no longer than 14 ms.
  intents: {
    perSecond: tick.perSecond * gameServers,
    users: gameServers,
    thresholds: {
      "http_req_duration{kind:intents}": ["p(95)<16"],
      "http_req_failed{kind:intents}": ["rate<0.001"],
      "checks{kind:intents}": ["rate>0.999"],
    },
  },
  // Eight tokens of Silver are 200 ms; the tier's own target is 250.
  dialogue: {
    perSecond: 10,
    users: 20,
    thresholds: {
      "http_req_duration{kind:dialogue}": ["p(95)<250"],
      "http_req_failed{kind:dialogue}": ["rate<0.001"],
    },
  },
  // k6 reads a stream as one answer: the first token is `http_req_waiting`, what lies between tokens is not seen.
  stream: {
    perSecond: 5,
    users: 20,
    thresholds: {
      "http_req_waiting{kind:stream}": ["p(95)<100"],
      "http_req_failed{kind:stream}": ["rate<0.001"],
      "checks{kind:stream}": ["rate>0.999"],
    },
  },
} satisfies Record<string, Traffic>;

export type Kind = keyof typeof traffic;

const slaOf: Record<Kind, string> = {
  realtime: "realtime",
  intents: "realtime",
  dialogue: "interactive",
  stream: "interactive",
};

/** Each kind at its own rate, whatever becomes of the requests; `exec` is the function of that name. */
export function optionsFor(...kinds: Kind[]) {
  const scenarios: Record<string, Scenario> = {};
  const thresholds: Record<string, string[]> = {};
  for (const kind of kinds) {
    const { perSecond, users, thresholds: own } = traffic[kind];
    scenarios[kind] = {
      executor: "constant-arrival-rate",
      exec: kind,
      rate: perSecond,
      timeUnit: "1s",
      duration,
      preAllocatedVUs: users,
      maxVUs: users * 5,
      tags: { kind, sla: slaOf[kind] },
    };
    Object.assign(thresholds, own);
  }
  return { scenarios, thresholds, summaryTrendStats: ["med", "p(90)", "p(95)", "p(99)", "max"] };
}

function realtime(): void {
  const answer = ask({ model: "gold", max_tokens: 1, temperature: 0, messages: guard() });
  check(answer, {
    "answered by gold": ({ status, headers }) => status === 200 && headers["X-Tierline-Tier"] === "gold",
  });
}

function intents(): void {
  const items = Array.from({ length: tick.npcs }, (_, npc) => ({
    archetype: "guard",
    npc,
    features: {
      threat: Math.random(),
      player_distance: Math.random() * 25,
      alerted: Math.random() < 0.2,
      weather: "fog",
    },
  }));
  const answer = post("/v1/npc/intents", { items });
  check(answer, {
    "an intent for everybody": (response) => {
      const answered = response.status === 200 ? response.json("items.#.intent") : [];
      return Array.isArray(answered) && answered.length === items.length;
    },
  });
}

function dialogue(): void {
  const answer = ask({ model: "silver", max_tokens: 8, messages: guard() });
  check(answer, {
    "a whole answer": (response) =>
      response.status === 200 && hasText(response.json("choices.0.message.content")),
  });
}

function stream(): void {
  const { status, body } = ask({ model: "silver", max_tokens: 8, stream: true, messages: guard() });
  check(body, {
    "a whole stream": (text) =>
      status === 200 && typeof text === "string" && text.trimEnd().endsWith("data: [DONE]"),
  });
}

/** The functions that `exec` names; a scenario file exports those it runs. */
export const callers = { realtime, intents, dialogue, stream };

const hasText = (value: unknown): boolean => typeof value === "string" && value.length > 0;

const ask = (body: object) => post("/v1/chat/completions", body);

function post(path: string, body: object) {
  return http.post(`${baseUrl}${path}`, JSON.stringify(body), {
    headers: {
      "content-type": "application/json",
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
    },
    timeout: "10s",
  });
}

/** Another player each time, so that nothing is answered from a cache. */
const guard = () => [
  { role: "system", content: "You are a guard at the north gate. Answer in one short sentence." },
  { role: "user", content: `Player ${__VU}-${__ITER} asks: has anybody passed since the bell?` },
];
