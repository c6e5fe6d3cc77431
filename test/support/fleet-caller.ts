// Run as a process: a game client of a whole fleet. Asks at a steady rate, spreads over the hosts whose /readyz says 200,
// streamed and not in turns, and prints one line for every request: how it ended, and why if badly. Ends when stdin does.

import { messages } from "./chat.ts";

export interface CallerAsk {
  readonly doors: readonly { readonly name: string; readonly url: string }[];
  readonly perSecond: number;
  readonly models: readonly string[];
  readonly tokens: number;
  readonly patienceMs: number;
  readonly readyEveryMs: number;
  /** As the OpenAI clients do: a connection that breaks before a byte of the answer is tried again, at another door. */
  readonly again: boolean;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface CallerAnswer {
  /** Wall clock, as a test in another process reads it. */
  readonly askedAtMs: number;
  readonly tookMs: number;
  readonly door: string;
  readonly model: string;
  readonly stream: boolean;
  /** `ok`, else the reason. */
  readonly end: string;
  /** Whether the head of an answer had come: then nobody may ask again. */
  readonly begun: boolean;
  /** A first door died on it. */
  readonly moved: string | undefined;
  readonly endpoint: string | undefined;
  readonly because: string | undefined;
}

interface Ended {
  readonly end: string;
  readonly begun: boolean;
  readonly headers?: Headers;
}

if (import.meta.main) await call(JSON.parse(process.argv[2] ?? ""));

async function call(ask: CallerAsk): Promise<void> {
  const ready = new Set<string>();
  const watch = async ({ name, url }: CallerAsk["doors"][number]): Promise<void> => {
    for (;;) {
      const isReady = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(1000), keepalive: false })
        .then((response) => response.status === 200)
        .catch(() => false);
      if (isReady) ready.add(name);
      else ready.delete(name);
      await Bun.sleep(ask.readyEveryMs);
    }
  };
  for (const door of ask.doors) void watch(door);
  while (ready.size < ask.doors.length) await Bun.sleep(5);
  console.log(JSON.stringify("ready"));

  let over = false;
  const listening = (async () => {
    for await (const _ of console);
    over = true;
  })();
  const asked: Promise<void>[] = [];
  const began = performance.now();
  for (let sent = 0; !over; sent += 1) {
    const due = began + (sent * 1000) / ask.perSecond;
    if (due > performance.now()) await Bun.sleep(due - performance.now());
    const open = ask.doors.filter(({ name }) => ready.has(name));
    asked.push(one(ask, open, sent));
  }
  await Promise.all([listening, ...asked]);
  process.exit(0);
}

async function one(ask: CallerAsk, open: CallerAsk["doors"], turn: number): Promise<void> {
  const model = ask.models[turn % ask.models.length] ?? "gold";
  const stream = Math.floor(turn / ask.models.length) % 2 === 1;
  const door = open[turn % Math.max(1, open.length)];
  const askedAtMs = performance.timeOrigin + performance.now();
  let ended: Ended = { end: "no host is ready", begun: false };
  let moved: string | undefined;
  if (door !== undefined) ended = await attempt(ask, door.url, model, stream);
  const other = open.find(({ name }) => name !== door?.name);
  if (ask.again && ended.end.startsWith("connection") && !ended.begun && other !== undefined) {
    moved = `${door?.name}: ${ended.end}`;
    ended = await attempt(ask, other.url, model, stream);
  }
  const answer: CallerAnswer = {
    askedAtMs,
    tookMs: performance.timeOrigin + performance.now() - askedAtMs,
    door: door?.name ?? "none",
    model,
    stream,
    end: ended.end,
    begun: ended.begun,
    moved,
    endpoint: ended.headers?.get("x-tierline-endpoint") ?? undefined,
    because: ended.headers?.get("x-tierline-because") ?? undefined,
  };
  console.log(JSON.stringify(answer));
}

async function attempt(ask: CallerAsk, url: string, model: string, stream: boolean): Promise<Ended> {
  let headers: Headers | undefined;
  try {
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", ...ask.headers },
      body: JSON.stringify({ model, messages, stream, max_tokens: ask.tokens }),
      signal: AbortSignal.timeout(ask.patienceMs),
    });
    ({ headers } = response);
    const text = await response.text();
    if (response.status !== 200)
      return { end: `${response.status} ${text.slice(0, 300)}`, begun: false, headers };
    const isWhole = stream ? text.endsWith("data: [DONE]\n\n") : text.endsWith("}");
    return { end: isWhole ? "ok" : `not whole: …${text.slice(-200)}`, begun: true, headers };
  } catch (error) {
    const name = error instanceof Error ? error.name : "";
    const why = error instanceof Error && "code" in error ? error.code : String(error);
    const end = name === "TimeoutError" ? `no answer in ${ask.patienceMs} ms` : `connection: ${why}`;
    return { end, begun: headers !== undefined, ...(headers === undefined ? {} : { headers }) };
  }
}
