// The HTTP client against Bun's own `fetch`: the same upstream in another process, rounds in turn, so that
// a busy machine slows both. Prints requests per second, CPU time per request, and the ratios.
//
//   bun bench/wire-client.bench.ts [rounds] [seconds a round]

import { systemClock } from "../src/base/clock.ts";
import { createWireClient } from "../src/wire/client.ts";

const rounds = Number(process.argv[2] ?? 7);
const roundMs = Number(process.argv[3] ?? 0.7) * 1_000;

const upstreamSource = `
  const answer = JSON.stringify({ id: "chatcmpl-1", object: "chat.completion", text: "x".repeat(940) });
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: async (request) => {
    await request.arrayBuffer();
    return new Response(answer, { headers: { "content-type": "application/json" } });
  } });
  console.log(server.port);`;
const upstream = Bun.spawn([process.execPath, "-e", upstreamSource], { stdout: "pipe" });
const port = Number(new TextDecoder().decode((await upstream.stdout.getReader().read()).value));

const body = Buffer.from(
  JSON.stringify({ model: "npc", messages: [{ role: "user", content: "y".repeat(940) }] }),
);
const headers: [string, string][] = [
  ["content-type", "application/json"],
  ["accept", "application/json"],
  ["authorization", "Bearer some-engine-key"],
  ["x-request-id", "0190b3d0-0000-7000-8000-000000000000"],
  ["traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
];

const client = createWireClient({ host: "127.0.0.1", port }, systemClock);
const parts = [body];

async function byClient(): Promise<number> {
  const request = { method: "POST", path: "/v1/chat/completions", headers, body: parts };
  const response = await client.request(request).response;
  let bytes = 0;
  for (let chunk = await response.body.next(); chunk !== null; chunk = await response.body.next()) {
    bytes += chunk.length;
  }
  return bytes;
}

async function byFetch(): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
    method: "POST",
    headers,
    body,
    decompress: false,
  });
  return (await response.arrayBuffer()).byteLength;
}

interface Round {
  readonly perSecond: number;
  readonly cpuUs: number;
}

async function round(once: () => Promise<number>, concurrency: number): Promise<Round> {
  const cpu = process.cpuUsage();
  const start = performance.now();
  const end = start + roundMs;
  let done = 0;
  const worker = async (): Promise<void> => {
    while (performance.now() < end) {
      if ((await once()) < 900) throw new Error("a short answer");
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: (done * 1_000) / (performance.now() - start), cpuUs: (user + system) / done };
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

const show = (name: string, values: readonly number[], digits: number): string =>
  `${name} ${median(values).toFixed(digits)} (${Math.min(...values).toFixed(digits)}-${Math.max(...values).toFixed(digits)})`;

for (const concurrency of [32, 1]) {
  await round(byClient, concurrency);
  await round(byFetch, concurrency);
  const ours: Round[] = [];
  const fetched: Round[] = [];
  for (let turn = 0; turn < rounds; turn += 1) {
    ours.push(await round(byClient, concurrency));
    fetched.push(await round(byFetch, concurrency));
  }
  const ratio = (pick: (round: Round) => number): number[] =>
    ours.map((each, turn) => pick(each) / pick(fetched[turn] ?? each));
  console.log(`c=${concurrency}, ${rounds} rounds, median (min-max):`);
  console.log(
    `  ${show(
      "client req/s",
      ours.map((each) => each.perSecond),
      0,
    )}`,
  );
  console.log(
    `  ${show(
      "fetch  req/s",
      fetched.map((each) => each.perSecond),
      0,
    )}`,
  );
  console.log(
    `  ${show(
      "client/fetch req/s",
      ratio((each) => each.perSecond),
      2,
    )}`,
  );
  console.log(
    `  ${show(
      "client CPU us/req",
      ours.map((each) => each.cpuUs),
      1,
    )}`,
  );
  console.log(
    `  ${show(
      "fetch  CPU us/req",
      fetched.map((each) => each.cpuUs),
      1,
    )}`,
  );
  console.log(
    `  ${show(
      "client/fetch CPU",
      ratio((each) => each.cpuUs),
      2,
    )}`,
  );
}

client.close();
upstream.kill();
