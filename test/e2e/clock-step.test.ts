// The wall clock of one of two hosts steps by an hour and back by two, while it serves, keeps answers, bars an engine and
// holds a job. Run from the source, as the step is made from within the process.

import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { sageMakerToml, tale } from "../support/bronze.ts";
import { chat, messages, until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { measured } from "../support/measured.ts";
import type { Tierline, TierlineOptions } from "../support/tierline.ts";
import { engineToml, startTierline } from "../support/tierline.ts";

setDefaultTimeout(60_000);

const ends = cleanup();
/** Nobody answers there, so that a job waits. */
const noAws = {
  AWS_ENDPOINT_URL: "http://127.0.0.1:1",
  AWS_ACCESS_KEY_ID: "nobodys",
  AWS_SECRET_ACCESS_KEY: "nobodys",
};
const root = resolve(import.meta.dir, "../..");
/** The binary's name is handed over like any argument, and dropped. */
const fromSource = [
  "sh",
  "-c",
  `shift; exec "${process.execPath}" --preload "${root}/test/support/step-wall-clock.ts" "${root}/src/main.ts" "$@"`,
  "sh",
];

test("with a wall clock that steps by an hour, nothing expires, no breaker opens or closes, no job is over, and its peer still talks to it (fault 22)", async () => {
  const dir = mkdtempSync(join(tmpdir(), "tierline-clock-"));
  ends({ stop: () => rmSync(dir, { recursive: true, force: true }) });
  writeFileSync(join(dir, "gossip.key"), `${"0123456789abcdef".repeat(4)}\n`);
  const [gold, broken, large] = await Promise.all(
    ["small", "odd", "large"].map(async (model) =>
      ends(await startSimulatedEngine({ model, msPerToken: 1 })),
    ),
  );
  if (gold === undefined || broken === undefined || large === undefined) throw new Error("no engines");
  const start = async (
    options: TierlineOptions,
    seeds: readonly string[],
    config: string,
  ): Promise<Tierline> =>
    ends(
      await startTierline({
        ...options,
        listen: 'public = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\ngossip = "127.0.0.1:0"',
        config: `[cluster]
fleet = "clock"
advertise = "127.0.0.1"
secret_file = ${JSON.stringify(join(dir, "gossip.key"))}
seeds = ${JSON.stringify(seeds)}
${config}`,
      }),
    );
  const peer = await start({ name: "silver-1" }, [], engineToml("silver", large.url));
  const { gossip } = await peer.logged(({ msg }) => msg === "ready");
  const stepped = await start(
    { name: "gold-1", behind: fromSource, env: noAws },
    [new URL(String(gossip)).host],
    `${engineToml("gold", gold.url)}${engineToml("silver", broken.url, 'name = "broken"')}
${sageMakerToml()}`,
  );
  const ask = async (body: object, url = stepped.url): Promise<Response> => {
    const response = await chat(url, { model: "gold", messages, max_tokens: 2, ...body });
    await response.arrayBuffer();
    expect(response.status).toBe(200);
    return response;
  };
  const events = async (router: Tierline): Promise<number> =>
    (await router.metric("tierline_membership_events_total", { kind: "suspected" })) +
    (await router.metric("tierline_membership_events_total", { kind: "dead" }));
  const breaker = (): Promise<number> =>
    stepped.metric("tierline_breaker_state", { endpoint: "gold-1/broken" });
  await until(
    "it knows its peer",
    async () => (await stepped.metric("tierline_members", { state: "alive" })) === 2,
  );

  const kept = { temperature: 0, seed: 7 };
  await ask(kept);
  expect((await ask(kept)).headers.get("x-tierline-cache")).toBe("hit");
  const placed = await fetch(`${stepped.url}/v1/jobs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ request: tale(), ttl_seconds: 600 }),
  });
  expect([placed.status, await placed.clone().text()]).toEqual([202, expect.any(String)]);
  const { id } = (await placed.json()) as { id: string };
  const jobStatus = async (): Promise<unknown> =>
    ((await (await fetch(`${stepped.url}/v1/jobs/${id}`)).json()) as { status: unknown }).status;
  expect(await jobStatus()).toBe("queued");
  broken.fault({ kind: "status", status: 500 });
  /** Opened a moment ago: it has most of a second to go, or more. */
  const justOpened = (): Promise<void> =>
    until(
      "the breaker opens",
      async () => {
        const before = await breaker();
        const hurried = { headers: { "x-tierline-deadline-ms": "200" } };
        const response = await chat(stepped.url, { model: "odd", messages, max_tokens: 2 }, hurried);
        await response.arrayBuffer();
        return before < 2 && (await breaker()) === 2;
      },
      20_000,
    );

  let forwarded = 0;
  for (const step of ["SIGUSR1", "SIGUSR2", "SIGUSR2"] as const) {
    await justOpened();
    stepped.signal(step);
    expect(await breaker()).toBe(2);
    for (let turn = 0; turn < 5; turn += 1) {
      expect((await ask(kept)).headers.get("x-tierline-cache")).toBe("hit");
      expect((await ask({ model: "large" })).headers.get("x-tierline-endpoint")).toBe("silver-1/vllm");
      expect((await ask({ model: "gold" }, peer.url)).headers.get("x-tierline-endpoint")).toBe("gold-1/vllm");
      forwarded += 2;
      await Bun.sleep(100);
    }
    expect(await jobStatus()).toBe("queued");
    expect(await Promise.all([events(stepped), events(peer)])).toEqual([0, 0]);
  }
  measured(
    22,
    `+1 h, -1 h and -1 h more in the running process: kept answers stayed, an open breaker stayed open, a job with a ttl of 600 s stayed queued, 0 suspicions, ${forwarded} of ${forwarded} forwarded requests answered`,
  );
});
