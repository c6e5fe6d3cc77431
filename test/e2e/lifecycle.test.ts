// Start, drain, reload and end of the compiled binary, as systemd and an operator see them.

import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { chat, messages, readAll, until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { measured } from "../support/measured.ts";
import { openAiErrorOf } from "../support/openai-error.ts";
import { engineToml, startTierline } from "../support/tierline.ts";

const ends = cleanup();
const binary = join(import.meta.dir, "../../dist/tierline");

async function slowGold(config = "") {
  const gold = ends(await startSimulatedEngine({ model: "small", msPerToken: 20 }));
  return { gold, router: ends(await startTierline({ config: engineToml("gold", gold.url) + config })) };
}
const stream = (tokens: number) => ({ model: "gold", messages, stream: true, max_tokens: tokens });
const patient = { headers: { "x-tierline-deadline-ms": "60000" } };

describe("drain", () => {
  test("on SIGTERM readiness is 503 at once, new requests are refused, the running stream finishes, exit 0 (fault 46)", async () => {
    const { router } = await slowGold();
    const running = await chat(router.url, stream(40), patient);
    router.signal("SIGTERM");
    await until("readiness is gone", async () => (await fetch(`${router.url}/readyz`)).status === 503);
    expect((await fetch(`${router.url}/livez`)).status).toBe(200);
    const refused = await chat(router.url, { model: "gold", messages });
    expect(refused.status).toBe(503);
    expect((await openAiErrorOf(refused)).code).toBe("draining");
    expect(refused.headers.get("x-should-retry")).toBe("true");
    const { text, clean } = await readAll(running);
    expect(clean).toBe(true);
    expect(text).toEndWith("data: [DONE]\n\n");
    expect(await router.exited).toBe(0);
    measured(46, "SIGTERM: the running stream came whole, exit 0");
  });

  test("the last whole answers are not cut by the end of the process", async () => {
    const { router } = await slowGold();
    const asked = Array.from({ length: 10 }, () =>
      chat(router.url, { model: "gold", messages, max_tokens: 20 }, patient).then(readAll),
    );
    await until("all are in flight", async () => (await router.metric("tierline_inflight")) === 10);
    router.signal("SIGTERM");
    for (const { text, clean } of await Promise.all(asked)) {
      expect(clean).toBe(true);
      expect(JSON.parse(text)).toMatchObject({ object: "chat.completion" });
    }
    expect(await router.exited).toBe(0);
  });

  test("what is not done by the deadline is cut with an error event, exit 1 (fault 46)", async () => {
    const { router } = await slowGold("[drain]\ndeadline_ms = 300\n");
    const running = await chat(router.url, stream(1000), patient);
    const began = performance.now();
    router.signal("SIGTERM");
    const { text, clean } = await readAll(running);
    expect(clean).toBe(false);
    expect(text).not.toContain("[DONE]");
    expect(text).toContain('"code":"draining"');
    expect(await router.exited).toBe(1);
    const tookMs = performance.now() - began;
    expect(tookMs).toBeLessThan(3000);
    measured(
      46,
      `past a deadline of 300 ms: error event, no clean end, exit 1 after ${Math.round(tookMs)} ms`,
    );
  });

  test("a second signal ends at once, exit 1 (fault 46)", async () => {
    const { router } = await slowGold();
    const running = await chat(router.url, stream(1000), patient);
    router.signal("SIGTERM");
    await router.logged((line) => line["msg"] === "draining");
    const began = performance.now();
    router.signal("SIGINT");
    expect(await router.exited).toBe(1);
    const tookMs = performance.now() - began;
    expect(tookMs).toBeLessThan(1000);
    expect((await readAll(running)).clean).toBe(false);
    measured(46, `a second signal: exit 1 after ${Math.round(tookMs)} ms`);
  });

  test("`tierline drain --wait` waits for what runs, `undrain` takes it back", async () => {
    const { router } = await slowGold();
    const running = await chat(router.url, stream(40), patient);
    const run = (...args: string[]) =>
      Bun.spawn([binary, ...args, "--admin", router.adminUrl], { stdout: "pipe", stderr: "pipe" });
    let finished = false;
    const read = readAll(running).then((all) => {
      finished = true;
      return all;
    });
    const draining = run("drain", "--wait");
    expect(await draining.exited).toBe(0);
    await until("the stream is over", () => finished);
    expect((await read).clean).toBe(true);
    expect((await chat(router.url, { model: "gold", messages })).status).toBe(503);
    expect(await run("undrain").exited).toBe(0);
    expect((await chat(router.url, { model: "gold", messages, max_tokens: 1 })).status).toBe(200);
  });
});

describe("reload", () => {
  test("a new engine, alias and log level are taken over, and a running stream goes on", async () => {
    const { gold, router } = await slowGold();
    const silver = ends(await startSimulatedEngine({ model: "large", msPerToken: 1 }));
    const running = await chat(router.url, stream(40), patient);
    await router.reload(
      `${engineToml("gold", gold.url)}${engineToml("silver", silver.url)}[aliases]\nbard = { tier = "silver" }\n`,
    );
    await until("bard answers", async () => {
      const response = await chat(router.url, { model: "bard", messages, max_tokens: 1 });
      await response.arrayBuffer();
      return response.headers.get("x-tierline-tier") === "silver";
    });
    expect(await readAll(running)).toMatchObject({ clean: true });
  });

  test.each([
    ["a bad file", "nonsense = = 1\n"],
    ["an unknown key", "[sla.realtime]\nlader = []\n"],
    ["a changed listener", '[tls]\ncert_file = "/nowhere"\nkey_file = "/nowhere"\n'],
  ])("%s is refused with its reason, and the old config stays (fault 48)", async (what, text) => {
    const { gold, router } = await slowGold();
    router.writeConfig(engineToml("gold", gold.url) + text);
    router.signal("SIGHUP");
    const line = await router.logged(({ msg }) => msg === "reload rejected, kept old config");
    expect(JSON.stringify(line["errors"])).toMatch(/tierline\.toml:\d+:\d+|restart/);
    expect((await chat(router.url, { model: "gold", messages, max_tokens: 1 })).status).toBe(200);
    measured(48, `${what}: refused with its place, requests answered as before`);
  });
});

describe("start", () => {
  test("a second router on one state.dir is refused with a sentence", async () => {
    const { router } = await slowGold();
    const second = Bun.spawn([binary, "serve", "--config", join(router.dir, "tierline.toml")], {
      stdout: "pipe",
      stderr: "pipe",
    });
    expect(await second.exited).toBe(1);
    expect(await new Response(second.stderr).text()).toContain(String(router.pid));
  });

  test("a taken port is said in a sentence, exit 1", async () => {
    const { router } = await slowGold();
    const { port } = new URL(router.url);
    const second = Bun.spawn([binary, "serve"], {
      env: {
        TIERLINE_LISTEN_PUBLIC: `127.0.0.1:${port}`,
        TIERLINE_LISTEN_ADMIN: "127.0.0.1:0",
        TIERLINE_STATE_DIR: join(router.dir, "other"),
      },
      stdout: "pipe",
      stderr: "pipe",
    });
    expect(await second.exited).toBe(1);
    expect(await new Response(second.stderr).text()).toContain(`127.0.0.1:${port}`);
  });

  test("it is ready although its engine is down, says 503 meanwhile, and serves when the engine comes up", async () => {
    const gold = ends(await startSimulatedEngine({ model: "small", msPerToken: 1 }));
    gold.fault({ kind: "refuse" });
    const router = ends(await startTierline({ config: engineToml("gold", gold.url) }));
    await until(
      "the engine is known to be down",
      async () => (await router.metric("tierline_endpoint_available")) === 0,
    );
    const response = await chat(router.url, { model: "small", messages });
    expect([502, 503]).toContain(response.status);
    gold.clear();
    await until(
      "it serves",
      async () => (await chat(router.url, { model: "small", messages, max_tokens: 1 })).status === 200,
    );
  });

  test("kill -9 of the engine's process is a bad answer for nobody, where another engine is", async () => {
    const child = Bun.spawn(
      [
        "bun",
        join(import.meta.dir, "../../playground/simulated-engine.ts"),
        "--model",
        "small",
        "--ms-per-token",
        "5",
      ],
      { stdout: "pipe" },
    );
    const reader = child.stdout.getReader();
    const first: unknown = JSON.parse(new TextDecoder().decode((await reader.read()).value));
    const url = typeof first === "object" && first !== null && "url" in first ? String(first.url) : "";
    const other = ends(await startSimulatedEngine({ model: "small", msPerToken: 5 }));
    const router = ends(
      await startTierline({ config: engineToml("gold", url) + engineToml("gold", other.url) }),
    );
    const bad: string[] = [];
    const ask = async (): Promise<void> => {
      const response = await chat(router.url, { model: "gold", messages, max_tokens: 3 });
      const text = await response.text();
      if (response.status !== 200) bad.push(`${response.status} ${text}`);
    };
    const all: Promise<void>[] = [];
    for (let sent = 0; sent < 300; sent += 1) {
      if (sent === 100) child.kill("SIGKILL");
      all.push(ask());
      await Bun.sleep(5);
    }
    await Promise.all(all);
    expect(bad).toEqual([]);
  }, 20_000);
});

describe("admin", () => {
  test("explain says what would be decided, and why not the others", async () => {
    const { router } = await slowGold();
    expect(await (await fetch(`${router.adminUrl}/api/explain?sla=realtime`)).json()).toMatchObject({
      decision: { do: "try", endpoint: "gold-1/vllm", because: "local-first" },
      candidates: [{ endpoint: "gold-1/vllm", because: "chosen" }],
    });
  });

  test("the public listener has no admin API, and the admin API refuses other hosts and simple cross-site posts", async () => {
    const { router } = await slowGold();
    expect((await fetch(`${router.url}/api/explain`)).status).toBe(404);
    const borrowed = await fetch(`${router.adminUrl}/api/explain`, { headers: { host: "evil.example" } });
    expect(borrowed.status).toBe(403);
    expect(borrowed.headers.get("content-type")).toBe("application/problem+json");
    const simple = await fetch(`${router.adminUrl}/api/drain`, {
      method: "POST",
      body: "{}",
      headers: { "content-type": "text/plain" },
    });
    expect(simple.status).toBe(415);
    expect((await fetch(`${router.url}/readyz`)).status).toBe(200);
  });

  test("metrics are what promtool accepts, and hold the names of the contract", async () => {
    const { router } = await slowGold();
    await (await chat(router.url, { model: "gold", messages, max_tokens: 1 })).arrayBuffer();
    const text = await (await fetch(`${router.url}/metrics`)).text();
    for (const name of [
      "tierline_build_info",
      'tierline_requests_total{sla="realtime",tier="gold",locality="local",outcome="ok"} 1',
      'tierline_request_duration_seconds_bucket{sla="realtime",tier="gold",le="0.0005"}',
      "tierline_time_to_first_byte_seconds_count",
      "tierline_overhead_seconds_count 1",
      'tierline_attempts_total{endpoint="gold-1/vllm",outcome="ok"} 1',
      "tierline_retries_total 0",
      'tierline_breaker_state{endpoint="gold-1/vllm"} 0',
      'tierline_endpoint_available{endpoint="gold-1/vllm"} 1',
      'tierline_pool_utilization_ratio{tier="gold"}',
      'tierline_members{state="alive"} 1',
      "tierline_event_loop_lag_seconds",
      "process_resident_memory_bytes",
    ]) {
      expect(text).toContain(name);
    }
  });
});
