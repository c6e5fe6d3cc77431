// Run as a process: a crowd of clients that never finish what they say, half of them in a head and half in a body. Who is
// cut comes again, until stdin ends. Prints how many are in when all are, and what became of them when the last has been
// cut.

import { startHelper } from "./helper-process.ts";

interface CrowdAsk {
  readonly url: string;
  readonly count: number;
}

/** A crowd that comes in one moment is another test. */
const joinEachMs = 1;
const dripMs = 2_000;

export interface SlowCrowd {
  /** Connections that were ever opened. */
  readonly opened: number;
  readonly cut: number;
  /** Of those that were cut, from the first byte. */
  readonly longestMs: number;
  /** Of those that were told why: `408` and such. */
  readonly told: Readonly<Record<string, number>>;
  /** What could not connect, or was answered as if it had finished. */
  readonly wrong: number;
}

interface Slow {
  readonly inBody: boolean;
  readonly since: number;
  said: string;
  timer: ReturnType<typeof setInterval> | undefined;
}

let coming = true;
let open = 0;
const sums = { opened: 0, cut: 0, longestMs: 0, wrong: 0 };
const told: Record<string, number> = {};

if (import.meta.main) await crowd(JSON.parse(process.argv[2] ?? ""));

async function crowd({ url, count }: CrowdAsk): Promise<void> {
  for (let each = 0; each < count; each += 1) {
    await join(url, each % 2 === 0);
    if (each % 5 === 4) await Bun.sleep(5 * joinEachMs);
  }
  console.log(open);
  for await (const _ of console);
  coming = false;
  while (open > 0) await Bun.sleep(20);
  const became: SlowCrowd = { ...sums, told };
  console.log(JSON.stringify(became));
  process.exit(0);
}

async function join(url: string, inBody: boolean): Promise<void> {
  const { hostname, port } = new URL(url);
  const head = inBody
    ? 'POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 5000\r\n\r\n{"model":"gold","x":"'
    : "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nx-slow: ";
  const data: Slow = { inBody, since: performance.now(), said: "", timer: undefined };
  try {
    await Bun.connect<Slow>({
      hostname,
      port: Number(port),
      data,
      socket: {
        open(socket) {
          open += 1;
          sums.opened += 1;
          socket.write(head);
          socket.data.timer = setInterval(() => socket.write("y"), dripMs);
        },
        data(socket, bytes) {
          socket.data.said += bytes.toString("latin1");
        },
        close({ data: slow }) {
          clearInterval(slow.timer);
          open -= 1;
          sums.cut += 1;
          sums.longestMs = Math.max(sums.longestMs, performance.now() - slow.since);
          const status = /^HTTP\/1\.1 (\d+)/.exec(slow.said)?.[1];
          if (status !== undefined) told[status] = (told[status] ?? 0) + 1;
          if (status?.startsWith("2")) sums.wrong += 1;
          if (coming) void join(url, inBody);
        },
        error() {},
      },
    });
  } catch {
    sums.wrong += 1;
  }
}

export function startSlowCrowd(ask: CrowdAsk) {
  const { child, line } = startHelper("slow-clients.ts", ask);
  return {
    /** How many are there. */
    joined: async (): Promise<number> => Number(await line()),
    async leave(): Promise<SlowCrowd> {
      await child.stdin.end();
      return JSON.parse(await line());
    },
    stop: () => child.kill(),
  };
}
