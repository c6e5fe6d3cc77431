// Who may do what, through the compiled binary: limits of keys, classes of keys, and keys that come and go.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import OpenAI from "openai";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { errorOf, jobClient, startBronze } from "../support/bronze.ts";
import { chat, messages } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { decodeHeader, encodeAsk } from "../support/frame-client.ts";
import type { archetypesOf } from "../support/intent-client.ts";
import { guardToml, openStream, postItems } from "../support/intent-client.ts";
import { keysFile } from "../support/keys-file.ts";
import { openAiErrorOf } from "../support/openai-error.ts";
import { startPair } from "../support/pair.ts";
import type { Tierline } from "../support/tierline.ts";
import { binary, engineToml, startTierline } from "../support/tierline.ts";

setDefaultTimeout(30_000);

const ends = cleanup();

/** The key of each is `sk-NAME` where nothing else is said. */
const keyed = (lines: readonly string[]): string[] =>
  lines.map((line) => (line.includes(":") ? line : `${line}:sk-${line}`));

async function house(names: readonly string[], config: string) {
  const keys = ends(keysFile(...keyed(names)));
  const gold = ends(await startSimulatedEngine({ model: "small", msPerToken: 1 }));
  const router = ends(await startTierline({ config: engineToml("gold", gold.url) + keys.toml + config }));
  const reload = async (...lines: readonly string[]): Promise<void> => {
    keys.write(...keyed(lines));
    await router.reload();
  };
  const asked = () => gold.requests().filter(({ body }) => body.includes("Who goes there?")).length;
  return { gold, router, reload, asked };
}

const as = (key: string): Record<string, string> => ({ authorization: `Bearer ${key}` });
const ask = (
  { url }: Pick<Tierline, "url">,
  key: string,
  headers: Record<string, string> = {},
  model = "gold",
): Promise<Response> =>
  chat(url, { model, messages, max_tokens: 1 }, { headers: { ...as(key), ...headers } });

const remaining = ({ headers }: Response): number => Number(headers.get("x-ratelimit-remaining-requests"));

describe("a key's limit", () => {
  test("lets as many pass as it says, tells the truth about them, and is nothing to another key", async () => {
    const [perSecond, burst] = [40, 20];
    const { router } = await house(
      ["lobby", "arena"],
      `[auth.key.lobby]\nrequests_per_second = ${perSecond}\nburst = ${burst}\n`,
    );
    const end = performance.now() + 2000;
    const began = performance.now();
    let passed = 0;
    let refused = 0;
    const flood = Array.from({ length: 6 }, async () => {
      while (performance.now() < end) {
        const response = await ask(router, "sk-lobby");
        const left = remaining(response);
        expect(left).toBeGreaterThanOrEqual(0);
        // An answer that a stalled machine sends late finds the bucket full again.
        expect(left).toBeLessThanOrEqual(burst);
        expect(response.headers.get("x-ratelimit-limit-requests")).toBe(String(burst));
        expect(response.headers.get("ratelimit-policy")).toBe('"lobby";q=40;w=1');
        expect(response.headers.get("ratelimit")).toMatch(/^"lobby";r=\d+;t=[01]$/);
        if (response.status === 200) {
          passed += 1;
          await response.text();
          continue;
        }
        refused += 1;
        await Bun.sleep(2);
        expect([response.status, (await openAiErrorOf(response)).code]).toEqual([429, "rate_limited"]);
        expect(response.headers.get("x-should-retry")).toBe("true");
        expect(Number(response.headers.get("retry-after-ms"))).toBeLessThanOrEqual(
          1.25 * (1000 / perSecond) + 1,
        );
      }
    });
    let others = 0;
    const other = async (): Promise<void> => {
      while (performance.now() < end) {
        const response = await ask(router, "sk-arena");
        expect([response.status, response.headers.get("ratelimit")]).toEqual([200, null]);
        await response.text();
        others += 1;
      }
    };
    await Promise.all([...flood, other()]);
    const seconds = (performance.now() - began) / 1000;
    const most = burst + perSecond * seconds;
    expect(passed).toBeLessThanOrEqual(Math.ceil(most));
    // A slow machine asks for less than that at times, and what is not asked for is not saved up.
    expect(passed).toBeGreaterThan(0.7 * most);
    expect(refused).toBeGreaterThan(0);
    expect(others).toBeGreaterThan(0);
    expect(await router.metric("tierline_attempts_total")).toBe(passed + others);
    expect(await router.metric("tierline_shed_total", { because: "rate-limited" })).toBe(refused);
    expect(await router.metric("tierline_requests_total", { outcome: "rate_limited" })).toBe(refused);
  });

  test("is what the OpenAI SDK waits for, and then it succeeds", async () => {
    const { router } = await house(["lobby"], "[auth.key.lobby]\nrequests_per_second = 0.5\nburst = 1\n");
    const client = new OpenAI({ apiKey: "sk-lobby", baseURL: `${router.url}/v1` });
    const create = () => client.chat.completions.create({ model: "gold", messages: talk, max_tokens: 1 });
    await create();
    const began = performance.now();
    // By its own lights it would come again after about 0.5 and 1.3 s, in vain, and give up.
    expect((await create()).choices).toHaveLength(1);
    expect(performance.now() - began).toBeGreaterThan(1500);
    expect(await router.metric("tierline_shed_total", { because: "rate-limited" })).toBe(1);
  });

  test("is counted where a request comes in, and not again at the peer that answers it", async () => {
    const keys = ends(keysFile(...keyed(["lobby"])));
    const gold = ends(await startSimulatedEngine({ model: "small", msPerToken: 1 }));
    const silver = ends(await startSimulatedEngine({ model: "large", msPerToken: 1 }));
    const limits = "[auth.key.lobby]\nrequests_per_second = 0.001\nburst = 4\n";
    const { first, second } = ends(
      await startPair(
        [
          { name: "silver-1", config: engineToml("silver", silver.url) },
          { name: "gold-1", config: engineToml("gold", gold.url) },
        ],
        keys.toml + limits,
      ),
    );
    const told: [number, string | null, string | null][] = [];
    for (let count = 0; count < 5; count += 1) {
      const response = await ask(first, "sk-lobby");
      const { headers } = response;
      told.push([
        response.status,
        headers.get("x-tierline-locality"),
        headers.get("ratelimit")?.split(";t")[0] ?? null,
      ]);
      await response.text();
    }
    expect(told).toEqual([
      [200, "peer", '"lobby";r=3'],
      [200, "peer", '"lobby";r=2'],
      [200, "peer", '"lobby";r=1'],
      [200, "peer", '"lobby";r=0'],
      [429, null, '"lobby";r=0'],
    ]);
    const direct = await ask(second, "sk-lobby");
    expect([direct.status, remaining(direct)]).toEqual([200, 3]);
  });
});

const talk = [{ role: "user" as const, content: "Who goes there?" }];

describe("a key that comes or goes", () => {
  test("old and new are both good during a rotation and have one limit, which a reload leaves as it is", async () => {
    const { router, reload } = await house(
      ["lobby:sk-old"],
      "[auth.key.lobby]\nrequests_per_second = 0.001\nburst = 3\n",
    );
    const statuses = async (...keys: readonly string[]) => {
      const found: [number, number][] = [];
      for (const key of keys) {
        const response = await ask(router, key);
        found.push([response.status, remaining(response)]);
        await response.text();
      }
      return found;
    };
    expect(await statuses("sk-old")).toEqual([[200, 2]]);
    await reload("lobby:sk-old", "lobby:sk-new");
    expect(await statuses("sk-new", "sk-old", "sk-new")).toEqual([
      [200, 1],
      [200, 0],
      [429, 0],
    ]);
    await reload("lobby:sk-new");
    expect((await statuses("sk-new"))[0]).toEqual([429, 0]);
    expect((await ask(router, "sk-old")).status).toBe(401);
  });

  test("that is taken away closes its WebSockets with 1008 and a reason within a second, and no others", async () => {
    const { router, reload } = await house(["lobby:sk-old", "lobby:sk-new", "arena"], guardToml);
    const epoch = await epochOf(router, "sk-arena");
    const open = async (key: string) => ends(await openStream(router.url, { headers: as(key) }));
    const [old, next, arena] = [await open("sk-old"), await open("sk-new"), await open("sk-arena")];
    const page = ends(await openStream(router.url, { protocols: ["tierline.key.sk-old"] }));
    await reload("lobby:sk-new", "arena");
    for (const gone of [old, page]) {
      const closed = await Promise.race([gone.closed, Bun.sleep(1000)]);
      expect(closed).toEqual({ code: 1008, reason: "The API key is not known here any more." });
    }
    for (const client of [next, arena]) {
      client.send(encodeAsk(1, epoch, [{ archetype: 0, situation: 0, npc: 1 }]));
      expect(decodeHeader(await client.next()).type).toBe(2);
    }
    await expect(open("sk-old")).rejects.toThrow("refused");
  });

  test("can be taken away though its limits stay written: a warning, and the reload is in force", async () => {
    const { router, reload } = await house(
      ["lobby", "arena"],
      "[auth.key.lobby]\nrequests_per_second = 100\n",
    );
    await reload("arena");
    expect((await ask(router, "sk-lobby")).status).toBe(401);
    const told = "[auth.key.lobby] is for a key that";
    expect(await router.logged(({ msg }) => String(msg).includes(told))).toMatchObject({ level: "warn" });
  });
});

test("a key without realtime is refused where realtime is asked for, in words, and served where it is not", async () => {
  const { router, asked } = await house(["lobby"], `[auth.key.lobby]\nsla = ["interactive"]\n${guardToml}`);
  const item = { archetype: "guard", features: {} };
  const epoch = await epochOf(router, "sk-lobby");
  const frame = Buffer.from(encodeAsk(1, epoch, [{ archetype: 0, situation: 0, npc: 1 }]));
  const refused = [
    await ask(router, "sk-lobby"),
    await ask(router, "sk-lobby", { "x-tierline-sla": "realtime" }, "small"),
    await ask(router, "sk-lobby", { "x-tierline-sla": "async" }),
    await postItems(router.url, item, as("sk-lobby")),
    await fetch(`${router.url}/v1/npc/intents`, {
      method: "POST",
      headers: { ...as("sk-lobby"), "content-type": "application/vnd.tierline.intents" },
      body: frame,
    }),
    await fetch(`${router.url}/v1/npc/stream`, {
      headers: {
        ...as("sk-lobby"),
        upgrade: "websocket",
        connection: "Upgrade",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
      },
    }),
    await fetch(`${router.url}/v1/jobs`, {
      method: "POST",
      headers: as("sk-lobby"),
      body: JSON.stringify({ request: { messages } }),
    }),
  ];
  for (const response of refused) {
    expect(response.status).toBe(403);
    const { code, message } = await openAiErrorOf(response);
    expect(code).toBe("forbidden");
    expect(message).toContain("It may use: interactive.");
  }
  expect(asked()).toBe(0);
  expect((await ask(router, "sk-lobby", {}, "small")).status).toBe(200);
  expect((await fetch(`${router.url}/v1/models`, { headers: as("sk-lobby") })).status).toBe(200);
});

test("one key may hold half of the job queue, also after a restart; the other half is the others'", async () => {
  const keys = ends(keysFile(...keyed(["lobby", "quest"])));
  const { router, again } = await startBronze(ends, {
    config: `${keys.toml}[jobs]\nmax_queued = 4\n`,
    aws: { instances: 0, scaleUpMs: 60_000 },
  });
  const lobby = jobClient(router.url, "sk-lobby");
  const ids = [await lobby.placed(), await lobby.placed()];
  const third = await lobby.order();
  expect(errorOf(third)).toMatchObject({ status: 429, code: "tier_overloaded" });
  expect(third.text).toContain("2 jobs of this key are waiting here");
  expect(Number(third.headers.get("retry-after-ms"))).toBeGreaterThan(0);
  await jobClient(router.url, "sk-quest").placed();

  await router.stop();
  const { router: restarted } = await again();
  const later = jobClient(restarted.url, "sk-lobby");
  expect((await later.order()).status).toBe(429);
  await jobClient(restarted.url, "sk-quest").placed();
  expect((await later.cancel(ids[0] ?? "")).status).toBe(200);
  await later.placed();
});

test("no key appears in what is printed, logged, measured or answered", async () => {
  const { router, reload } = await house(
    ["lobby:sk-secret-1", "arena:sk-secret-2"],
    '[auth.key.lobby]\nsla = ["async"]\nrequests_per_second = 0.001\n',
  );
  const answers: Response[] = [];
  for (const key of ["sk-secret-1", "sk-secret-1", "sk-secret-2", "sk-secret-9"])
    answers.push(await ask(router, key));
  expect(answers.map(({ status }) => status)).toEqual([403, 429, 200, 401]);
  await reload("lobby:sk-secret-1", "lobby:sk-secret-3");
  const printed = Bun.spawn([binary, "print-config", "--config", join(router.dir, "tierline.toml")]);
  const said = [
    ...(await Promise.all(answers.map((response) => response.text()))),
    ...answers.map(({ headers }) => JSON.stringify([...headers])),
    await (await fetch(`${router.adminUrl}/api/config`)).text(),
    await (await fetch(`${router.adminUrl}/metrics`)).text(),
    await new Response(printed.stdout).text(),
    JSON.stringify(router.log),
    router.stderr(),
  ].join("\n");
  expect(said).toContain("[auth.key.lobby]");
  expect(said).not.toContain("sk-secret");
});

async function epochOf({ url }: Tierline, key: string): Promise<number> {
  const response = await fetch(`${url}/v1/npc/archetypes`, { headers: as(key) });
  const { epoch }: Awaited<ReturnType<typeof archetypesOf>> = JSON.parse(await response.text());
  return epoch;
}
