// A router that runs out of file descriptors, behind the compiled binary: who is refused, who is not, and that it never
// spins.

import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { chat, messages, readAll, until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { measured } from "../support/measured.ts";
import { openAiErrorOf } from "../support/openai-error.ts";
import { callRaw, crowd } from "../support/raw-callers.ts";
import type { Tierline } from "../support/tierline.ts";
import { engineToml, startTierline } from "../support/tierline.ts";

const ends = cleanup();

const limit = 400;
const ask = { model: "gold", messages, max_tokens: 4 };

async function router(more = "") {
  const engine = ends(await startSimulatedEngine({ model: "small", msPerToken: 1, maxNumSeqs: 512 }));
  const behind = ["sh", "-c", `ulimit -n ${limit} && exec "$@"`, "sh"];
  const config = engineToml("gold", engine.url, "max_concurrent = 300") + more;
  return { engine, tierline: ends(await startTierline({ config, behind })) };
}

const openFds = (tierline: Tierline): Promise<number> => tierline.metric("process_open_fds");
const strain = (tierline: Tierline): Promise<number> =>
  tierline.metric("tierline_host_strain", { resource: "descriptors" });

describe("of the file descriptors that a router may have", () => {
  test("half are taken by requests under way: new ones get 503 and their connection back, those under way end well (fault 32)", async () => {
    const { engine, tierline } = await router();
    await tierline.logged((line) => String(line["msg"]).includes("LimitNOFILE"));
    expect(await tierline.metric("process_max_fds")).toBe(limit);
    engine.fault({ kind: "hang" });
    const stays = Array.from({ length: 110 }, () =>
      chat(tierline.url, { ...ask, stream: true }, { headers: { "x-tierline-deadline-ms": "60000" } }),
    );
    await until("half are taken", async () => (await strain(tierline)) === 2);
    const open = await openFds(tierline);
    const page = "http://localhost:3000";
    const refused = await chat(tierline.url, ask, { headers: { origin: page } });
    expect(refused.status).toBe(503);
    expect(refused.headers.get("access-control-allow-origin")).toBe(page);
    expect(refused.headers.get("connection")).toBe("close");
    expect(refused.headers.get("x-should-retry")).toBe("true");
    expect(Number(refused.headers.get("retry-after-ms"))).toBeGreaterThan(0);
    expect((await openAiErrorOf(refused)).code).toBe("host_overloaded");
    expect(await tierline.metric("tierline_shed_total", { because: "descriptors" })).toBe(1);
    const readiness = await fetch(`${tierline.url}/readyz`);
    expect([readiness.status, await readiness.text()]).toEqual([503, "short of descriptors\n"]);
    expect((await fetch(`${tierline.url}/livez`)).status).toBe(200);
    expect((await fetch(`${tierline.adminUrl}/livez`)).status).toBe(200);
    await tierline.logged((line) => line["msg"] === "short of descriptors: requests refused");

    engine.clear();
    const ended = await Promise.all(stays.map(async (answer) => readAll(await answer)));
    expect(ended.filter(({ clean, text }) => clean && text.endsWith("data: [DONE]\n\n")).length).toBe(110);
    await until("it takes requests again", async () => (await chat(tierline.url, ask)).status === 200);
    measured(
      32,
      `with ${open} of ${limit} descriptors open new requests got 503 and \`connection: close\`; all 110 streams under way ended well`,
    );
  }, 30_000);

  test("half are taken by connections that ask nothing any more: these are cut, and nobody is refused (fault 32)", async () => {
    const { tierline } = await router();
    const request = "GET /livez HTTP/1.1\r\nhost: a\r\n\r\n";
    const idle = ends(
      crowd(await Promise.all(Array.from({ length: 300 }, () => callRaw(tierline.url, request)))),
    );
    await until("all have gone", () => idle.callers.every(({ closed }) => closed));
    expect((await chat(tierline.url, ask)).status).toBe(200);
    expect(await tierline.metric("tierline_shed_total", { because: "descriptors" })).toBe(0);
    measured(32, `300 idle connections at a limit of ${limit} were closed, and no request was refused`);
  }, 20_000);

  test("all are taken by connections that never ask: the listener is shut instead of spinning, and opens again (fault 32)", async () => {
    const { tierline } = await router();
    const stream = chat(tierline.url, { ...ask, stream: true, max_tokens: 3000 });
    await stream;
    const silent = ends(crowd(await Promise.all(Array.from({ length: 600 }, () => callRaw(tierline.url)))));
    await until("it takes no more", async () => (await strain(tierline)) === 3);
    // Who had been connected and not been taken in is told so.
    expect(await callRaw(tierline.url).catch(() => "refused")).toBe("refused");
    const cpuBefore = await tierline.metric("process_cpu_seconds_total");
    await Bun.sleep(2000);
    const cpuShare = ((await tierline.metric("process_cpu_seconds_total")) - cpuBefore) / 2;
    // A loop that tries to accept what it cannot takes a whole core.
    expect(cpuShare).toBeLessThan(0.5);
    expect((await fetch(`${tierline.adminUrl}/livez`)).status).toBe(200);
    const { text, clean } = await readAll(await stream);
    expect(clean && text.endsWith("data: [DONE]\n\n")).toBe(true);
    silent.stop();
    await until("it is open again", async () => {
      const answer = await chat(tierline.url, ask).catch(() => undefined);
      return answer?.status === 200;
    });
    expect(await strain(tierline)).toBeLessThan(3);
    measured(
      32,
      `under 600 silent connections at a limit of ${limit} the listener was shut: ${Math.round(cpuShare * 100)} % of a core, the admin listener answered, the stream under way ended well`,
    );
  }, 30_000);

  test("not one is left, for the admin listener's connections took the last: the router goes on looking, and opens again (fault 32)", async () => {
    const { tierline } = await router(`[limits]\nmemory_bytes = "4GB"\n`);
    const silent = ends(crowd(await Promise.all(Array.from({ length: 600 }, () => callRaw(tierline.url)))));
    await until("it takes no more", async () => (await strain(tierline)) === 3);
    const admin = ends(
      crowd(await Promise.all(Array.from({ length: 60 }, () => callRaw(tierline.adminUrl)))),
    );
    await until("not one is left", () => readdirSync(`/proc/${tierline.pid}/fd`).length >= limit);
    // Two looks.
    await Bun.sleep(600);
    admin.stop();
    silent.stop();
    await until("it is open again", async () => {
      const answer = await chat(tierline.url, ask).catch(() => undefined);
      return answer?.status === 200;
    });
    expect(tierline.log.filter(({ level }) => level === "error")).toEqual([]);
    measured(32, "half a second without one free descriptor, and the listener opened again");
  }, 30_000);
});
