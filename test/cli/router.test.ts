import { describe, expect, test } from "bun:test";
import type { Answer } from "./fake-router.ts";
import { fakeRouters } from "./fake-router.ts";
import { tierline } from "./fake-terminal.ts";
import { endpointOf, fleetOf, memberOf } from "./fleet-of.ts";

const listener = fakeRouters();

const idle = { body: { draining: false, inflight: 0 } };
const draining = (inflight: number): Answer => ({ body: { draining: true, inflight } });

describe("a command that talks to a router finds it", () => {
  test("by --admin, then by $TIERLINE_ADMIN", async () => {
    const { url, seen } = listener(idle);
    const nowhere = { TIERLINE_ADMIN: "http://127.0.0.1:1" };
    expect(await tierline(["undrain", "--admin", url], { env: nowhere })).toMatchObject({ exit: 0 });
    expect(await tierline(["undrain"], { env: { TIERLINE_ADMIN: url } })).toMatchObject({ exit: 0 });
    expect(seen).toHaveLength(2);
  });

  test("by a written listen.admin, before the address left in state.dir", async () => {
    const { port, seen } = listener(idle);
    const files = {
      "a.toml": `[listen]\nadmin = "0.0.0.0:${port}"\n[auth]\nadmin_token_file = "/token"\n[state]\ndir = "/state"\n`,
      "/token": "t0ken\n",
      "/state/admin.url": "http://127.0.0.1:1\n",
    };
    expect(await tierline(["undrain", "--config", "a.toml"], { files })).toMatchObject({ exit: 0 });
    expect(seen).toEqual([
      {
        method: "POST",
        path: "/api/undrain",
        authorization: "Bearer t0ken",
        type: "application/json",
        body: "{}",
      },
    ]);
  });

  test.each([
    ["port 0 is written", '[listen]\nadmin = "127.0.0.1:0"\n'],
    ["no address is written", ""],
  ])("by the address left in state.dir when %s", async (_, text) => {
    const { url, seen } = listener(idle);
    const files = { "a.toml": `${text}[state]\ndir = "/state"\n`, "/state/admin.url": `${url}\n` };
    expect(await tierline(["undrain", "--config", "a.toml"], { files })).toMatchObject({ exit: 0 });
    expect(seen).toHaveLength(1);
  });

  test("without being able to read the callers' keys", async () => {
    const { port } = listener(idle);
    const text = `[listen]\nadmin = "127.0.0.1:${port}"\n[auth]\nmode = "keys"\nkeys_file = "/keys"\n`;
    expect(await tierline(["undrain", "--config", "a.toml"], { files: { "a.toml": text } })).toMatchObject({
      exit: 0,
    });
  });

  test("or says that there is none", async () => {
    const files = { "a.toml": '[listen]\nadmin = "127.0.0.1:0"\n[state]\ndir = "/state"\n' };
    expect(await tierline(["undrain", "--config", "a.toml"], { files })).toEqual({
      exit: 1,
      out: "",
      err: "No router has left its address in /state. Is one running? Name it with --admin URL.\n",
    });
    expect(await tierline(["undrain", "--admin", "http://127.0.0.1:1"])).toEqual({
      exit: 1,
      out: "",
      err: "No router answers at http://127.0.0.1:1. Is one running? Name another with --admin URL.\n",
    });
  });

  test("or exits 78 when the configuration cannot say", async () => {
    const { exit, err } = await tierline(["undrain", "--config", "a.toml"], {
      files: { "a.toml": "[lisen]\n" },
    });
    expect(exit).toBe(78);
    expect(err).toContain("a.toml:1:2: unknown table [lisen]");
  });
});

describe("a router's refusal", () => {
  test("is told with its title and detail", async () => {
    const { url } = listener({
      status: 409,
      body: { title: "Conflict", detail: "it is stopping.", status: 409 },
    });
    const err = `The router at ${url} refused (409): Conflict: it is stopping.\n`;
    expect(await tierline(["drain", "--admin", url])).toEqual({ exit: 1, out: "", err });
  });

  test("by what is no admin listener says where one listens", async () => {
    const { url } = listener({
      status: 404,
      body: { error: { message: "There is nothing at /api/drain." } },
    });
    const err = `${url} is no admin listener. That one listens on port 8011 unless listen.admin says otherwise.\n`;
    expect(await tierline(["drain", "--admin", url])).toEqual({ exit: 1, out: "", err });
  });

  test("for want of a token says how to give one", async () => {
    const { url } = listener({ status: 401, body: {} });
    const err = `The router at ${url} wants its admin token: --token-file FILE.\n`;
    expect(await tierline(["drain", "--admin", url])).toEqual({ exit: 1, out: "", err });
  });

  test("is suspected where the answer makes no sense", async () => {
    const { url } = listener({ body: "hello" });
    const err = `What answers at ${url} does not speak like a router of this version.\n`;
    expect(await tierline(["drain", "--admin", url])).toEqual({ exit: 1, out: "", err });
  });
});

describe("drain", () => {
  test("returns at once and says what is in flight", async () => {
    const { url } = listener(draining(3));
    expect(await tierline(["drain", "--admin", url])).toEqual({
      exit: 0,
      out: "Draining: 3 requests in flight.\n",
      err: "",
    });
  });

  test("--wait asks until nothing is in flight", async () => {
    const { url, seen } = listener(draining(2), draining(1), draining(0));
    expect(await tierline(["drain", "--wait", "--admin", url])).toEqual({
      exit: 0,
      out: "Draining: 2 requests in flight.\nDrained: nothing is in flight.\n",
      err: "",
    });
    expect(seen.map(({ method, path }) => `${method} ${path}`)).toEqual([
      "POST /api/drain",
      "GET /api/drain",
      "GET /api/drain",
    ]);
  });

  test("--wait goes on, where peers answer, until nobody has come for two seconds", async () => {
    const quiet = (quiet_ms: number): Answer => ({ body: { draining: true, inflight: 0, quiet_ms } });
    const steps = Array.from({ length: 12 }, (_, step) => quiet(step * 10));
    const { url, seen } = listener(...steps, quiet(2000));
    const began = performance.now();
    expect((await tierline(["drain", "--wait", "--admin", url])).exit).toBe(0);
    expect(performance.now() - began).toBeGreaterThan(1990);
    expect(seen).toHaveLength(13);
  });

  test("--wait fails when somebody undrains meanwhile", async () => {
    const { url } = listener(draining(1), idle);
    const { exit, err } = await tierline(["drain", "--wait", "--json", "--admin", url]);
    expect({ exit, err }).toEqual({ exit: 1, err: "Somebody has undrained the router meanwhile.\n" });
  });
});

describe("explain", () => {
  const candidates = [
    { endpoint: "gold-2/vllm", because: "barred" },
    { endpoint: "gold-1/vllm", because: "chosen" },
    { endpoint: "silver-1/vllm", because: "lower-rung" },
    { endpoint: "bronze-1/vllm", because: "not-on-ladder" },
  ];
  const fleet = fleetOf([
    memberOf("gold-1"),
    memberOf("gold-2", { state: "suspect", accused: { by: "gold-1", why: "connection refused" } }),
    memberOf("silver-1", { endpoints: [endpointOf("silver-1/vllm", { tier: "silver" })] }),
  ]);
  const explaining = (decision: unknown) => (path: string) => ({
    body: path === "/api/fleet" ? fleet : { decision, candidates, more: 1 },
  });
  const shed = { do: "shed", because: "pool-full", retry_after_ms: 250 };

  test.each([
    [
      { do: "try", endpoint: "gold-1/vllm", because: "local-first" },
      "It would go to gold-1/vllm: local-first.",
    ],
    [
      { do: "wait", endpoint: "gold-1/vllm", because: "local-full", max_wait_ms: 40.4 },
      "It would wait up to 40 ms for gold-1/vllm: local-full.",
    ],
    [shed, "It would be refused: pool-full; try again after 250 ms."],
    [{ do: "defer", because: "deferred" }, "The async lane would take it: deferred."],
  ])("says %j in a sentence, and why of each candidate, the chosen one first", async (decision, sentence) => {
    const { url } = listener(explaining(decision));
    expect(await tierline(["explain", "--sla", "realtime", "--admin", url], { columns: 80 })).toEqual({
      exit: 0,
      out: `${sentence}
  gold-1/vllm    gold    chosen
  gold-2/vllm    gold    barred         host suspect; refused or reset just now
  silver-1/vllm  silver  lower-rung     of a later tier
  bronze-1/vllm  -       not-on-ladder  tier not for this class
`,
      err: "",
    });
  });

  test.each([
    ["--sla realtime --model npc-fast --session s&1", "sla=realtime&model=npc-fast&session=s%261"],
    ["--sla async", "sla=async"],
    ["--model npc-fast", "model=npc-fast"],
  ])("asks %p as it is put, for a model may imply the class", async (args, query) => {
    const { url, seen } = listener(explaining(shed));
    expect((await tierline(["explain", ...args.split(" "), "--admin", url])).exit).toBe(0);
    expect(seen.map(({ path }) => path).toSorted()).toEqual([`/api/explain?${query}`, "/api/fleet"]);
  });

  test("--json hands on what the router said", async () => {
    const { url } = listener(explaining(shed));
    const { exit, out } = await tierline(["explain", "--sla", "async", "--json", "--admin", url]);
    expect(exit).toBe(0);
    expect(JSON.parse(out)).toEqual({ decision: shed, candidates, more: 1 });
  });
});
