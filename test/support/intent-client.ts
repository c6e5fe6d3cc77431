// A game's side of NPC intents for end-to-end tests: items as JSON, frames by POST, and frames over a WebSocket.

import type { ClientAsk } from "./frame-client.ts";
import { decodeAnswers, decodeHeader, encodeAsk } from "./frame-client.ts";

/** As in the documentation: 120 situations. */
export const guardToml = `[intents.archetype.guard]
prompt = "A castle guard. He is loyal, and no hero."
actions = ["patrol", "investigate", "attack", "take_cover", "flee", "call_help"]
default = "patrol"
[intents.archetype.guard.feature]
threat = { buckets = [0.2, 0.5, 0.8] }
player_distance = { buckets = [2, 5, 10, 20], unit = "m" }
alerted = { bool = true }
weather = { oneof = ["clear", "rain", "fog"] }
`;

/** 100,000 situations, told apart by five digits. */
export const scoutToml = `[intents.archetype.scout]
prompt = "A scout on a hill."
actions = ["wait", "watch", "signal", "return"]
default = "watch"
[intents.archetype.scout.feature]
${["a", "b", "c", "d", "e"].map((name) => `${name} = { buckets = [1, 2, 3, 4, 5, 6, 7, 8, 9] }`).join("\n")}
`;
export const scoutActions = ["wait", "watch", "signal", "return"];

/** The features of a scout's situation. */
export const scoutFeatures = (situation: number): Record<string, number> =>
  Object.fromEntries(
    ["a", "b", "c", "d", "e"].map((name, at) => [name, Math.floor(situation / 10 ** at) % 10]),
  );

export interface Intent {
  readonly npc?: number | string;
  readonly intent: string;
  readonly action: number;
  readonly confidence: number;
  readonly source: string;
  readonly age_ms: number;
  readonly ttl_ms: number;
  readonly situation: number;
  readonly buckets?: Readonly<Record<string, number>>;
  readonly prompt?: string;
  readonly error?: { readonly code: string; readonly message: string };
}

const intentsUrl = (url: string): string => `${url}/v1/npc/intents`;

/** `body` as text goes out as it is. */
export const postItems = (
  url: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Response> =>
  fetch(intentsUrl(url), {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });

/** Answered 200, or it throws. */
async function good(asked: Promise<Response>): Promise<Response> {
  const response = await asked;
  if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
  return response;
}

export const askOne = async (url: string, item: object): Promise<Intent> =>
  JSON.parse(await (await good(postItems(url, item))).text());

export async function askBatch(url: string, items: readonly object[]): Promise<readonly Intent[]> {
  const { items: answers } = JSON.parse(await (await good(postItems(url, { items }))).text());
  if (answers.length !== items.length) throw new Error(`${answers.length} answers to ${items.length} items`);
  return answers;
}

export const postFrame = (
  url: string,
  frame: Uint8Array,
  headers: Record<string, string> = {},
): Promise<Response> =>
  fetch(intentsUrl(url), {
    method: "POST",
    headers: { "content-type": "application/vnd.tierline.intents", ...headers },
    body: Buffer.from(frame),
  });

export async function askFrame(url: string, epoch: number, asks: readonly ClientAsk[]) {
  const response = await good(postFrame(url, encodeAsk(7, epoch, asks)));
  const frame = new Uint8Array(await response.arrayBuffer());
  const answers = decodeAnswers(frame);
  if (answers.length !== asks.length) throw new Error(`${answers.length} answers to ${asks.length} asks`);
  return answers;
}

export interface ArchetypeCard {
  readonly id: number;
  readonly name: string;
  readonly actions: readonly string[];
  readonly default: string;
  readonly ttl_ms: number;
  readonly stale_ms: number;
  readonly features: readonly Record<string, unknown>[];
}

export const archetypesOf = async (
  url: string,
): Promise<{ readonly epoch: number; readonly archetypes: readonly ArchetypeCard[] }> =>
  JSON.parse(await (await good(fetch(`${url}/v1/npc/archetypes`))).text());

export interface Stream {
  send(bytes: Uint8Array | string): void;
  /** The next message, in the order in which they come; rejects when the socket closes instead. */
  next(): Promise<Uint8Array>;
  /** The one with this request id, whatever comes before it stays for others. */
  answerTo(requestId: number): Promise<Uint8Array>;
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  readonly protocol: string;
  stop(): void;
}

/** Rejects where the upgrade is refused. `url`: any of the router's. */
export async function openStream(
  url: string,
  options: { protocols?: string[]; headers?: Record<string, string> } = {},
): Promise<Stream> {
  const socket = new WebSocket(new URL("/v1/npc/stream", url.replace("http", "ws")), options);
  const come: Uint8Array[] = [];
  let changed = Promise.withResolvers<void>();
  let over = false;
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.addEventListener("close", ({ code, reason }) => {
      over = true;
      changed.resolve();
      resolve({ code, reason });
    });
  });
  socket.addEventListener("message", ({ data }) => {
    if (!(data instanceof Uint8Array)) throw new Error("a text message");
    come.push(data);
    changed.resolve();
    changed = Promise.withResolvers();
  });
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve);
    socket.addEventListener("error", () => reject(new Error("refused")));
  });
  const take = async (fits: (message: Uint8Array) => boolean): Promise<Uint8Array> => {
    for (;;) {
      const at = come.findIndex(fits);
      const [message] = at < 0 ? [] : come.splice(at, 1);
      if (message !== undefined) return message;
      if (over) throw new Error("closed");
      await changed.promise;
    }
  };
  return {
    send: (bytes) => void socket.send(bytes),
    next: () => take(() => true),
    answerTo: (requestId) => take((message) => decodeHeader(message).requestId === requestId),
    closed,
    get protocol() {
      return socket.protocol;
    },
    stop: () => socket.terminate(),
  };
}
