// Run as a process: one who asks so many at a time, without a pause and whatever he is told. Prints what he was answered,
// by status, when stdin ends.

import { messages } from "./chat.ts";
import { startHelper } from "./helper-process.ts";

export interface Flood {
  /** Asked in turn. */
  readonly urls: readonly string[];
  readonly atOnce: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly model: string;
  readonly tokens: number;
}

if (import.meta.main) await pour(JSON.parse(process.argv[2] ?? ""));

async function pour({ urls, atOnce, headers, model, tokens }: Flood): Promise<void> {
  const statuses: Record<string, number> = {};
  let isOver = false;
  const body = JSON.stringify({ model, messages, max_tokens: tokens });
  const one = async (turn: number): Promise<void> => {
    for (let count = turn; !isOver; count += 1) {
      const url = `${urls[count % urls.length]}/v1/chat/completions`;
      const status = await fetch(url, { method: "POST", headers, body })
        .then(async (response) => {
          await response.arrayBuffer();
          return response.status;
        })
        .catch(() => 0);
      statuses[status] = (statuses[status] ?? 0) + 1;
    }
  };
  const all = Array.from({ length: atOnce }, (_, turn) => one(turn));
  console.log("pouring");
  for await (const _ of console);
  isOver = true;
  await Promise.all(all);
  console.log(JSON.stringify(statuses));
  process.exit(0);
}

/** Resolves when it has begun; `end` says what it was answered, by status. */
export async function startFlood(
  flood: Flood,
): Promise<{ end(): Promise<Readonly<Record<string, number>>>; stop(): void }> {
  const { child, line } = startHelper("flood.ts", flood);
  await line();
  return {
    async end() {
      await child.stdin.end();
      return JSON.parse(await line());
    },
    stop: () => child.kill(),
  };
}
