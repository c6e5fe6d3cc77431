// `tierline status` before scripted routers: one screen, what is wrong first, whatever the fleet's size and the window's.

import { describe, expect, test } from "bun:test";
import { fakeRouters } from "./fake-router.ts";
import { tierline } from "./fake-terminal.ts";
import { caches, endpointOf, fleetOf, memberOf, routerOf } from "./fleet-of.ts";

const listener = fakeRouters();

async function shown(fleet: unknown, columns?: number): Promise<string> {
  const { url } = listener(routerOf(fleet));
  const ran = await tierline(["status", "--admin", url], columns === undefined ? {} : { columns });
  expect([ran.exit, ran.err]).toEqual([0, ""]);
  return ran.out;
}

const own = endpointOf("gold-1/vllm", {
  locality: "local",
  there: null,
  inflight: 16,
  pressure: 0.25,
  first_byte_p50_ms: 12.8,
  first_byte_p99_ms: 30.4,
});
const self = memberOf("gold-1", { endpoints: [own] });
const accused = { by: "gold-2", why: "connect-timeout; 2 of 3 others asked could not reach it either" };

const jobs = { runner: "local", queued: 0, running: 0, oldest_seconds: 0, store: "ok" };

describe("status", () => {
  test.each([
    [jobs, "0 queued, 0 running"],
    [
      { ...jobs, queued: 1200, running: 8, oldest_seconds: 300 },
      "1,200 queued, 8 running, the oldest for 5 min",
    ],
    [
      { ...jobs, running: 1, oldest_seconds: 12, endpoint: { status: "InService", instances: 0 } },
      "0 queued, 1 running, the oldest for 12.0 s; endpoint InService, 0 instances",
    ],
    [
      { ...jobs, endpoint: { status: "unknown", why: "not authorized" } },
      "0 queued, 0 running; endpoint unknown: not authorized",
    ],
  ])("says of an async lane such as %j: %s", async (here, words) => {
    expect((await shown(fleetOf([self], { jobs: here }))).split("\n").at(-2)).toBe(`jobs here: ${words}`);
  });

  test("cuts what ails the endpoint to the width of the window, and to none on a pipe", async () => {
    const why = "AccessDeniedException: the role may not perform sagemaker:DescribeEndpoint. "
      .repeat(4)
      .trim();
    const fleet = fleetOf([self], { jobs: { ...jobs, endpoint: { status: "unknown", why } } });
    const lines = (await shown(fleet, 80)).split("\n");
    expect(lines.at(-2)).toMatch(/^jobs here: .* endpoint unknown: AccessDenied.*…$/);
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    expect(await shown(fleet)).toEndWith(`endpoint unknown: ${why}\n`);
  });

  test("names what keeps the async lane from taking jobs among what is wrong", async () => {
    const store = "The disk under the job file is full. No new jobs are taken.";
    const out = await shown(fleetOf([self], { jobs: { ...jobs, store } }));
    expect(out.split("\n").slice(0, 4)).toEqual(["gold-1 is ready. 1 host.", "", `! jobs: ${store}`, ""]);
  });

  test("of one host shows its tiers, its engines and the hit rates of its caches", async () => {
    expect(await shown(fleetOf([self]))).toBe(`gold-1 is ready. 1 host.

tier  endpoints  available  in use  utilization
gold          1          1   16/64         25 %

endpoint     state  pressure  in use    p50    p99  breaker  tier
gold-1/vllm     ok      25 %   16/64  13 ms  30 ms   closed  gold

cache hits here: intents 97.0 % of 1,000, results off
`);
  });

  test("shows its own engines before its peers', and says what the marks mean", async () => {
    const whole = endpointOf("gold-2/vllm", { pressure: 0.5, whole_p50_ms: 120, whole_p99_ms: 800 });
    const said = endpointOf("silver-1/vllm", {
      tier: "silver",
      pressure: 0.9,
      said_p50_ms: 15,
      state: "troubled-there",
      there: "silent",
    });
    const out = await shown(
      fleetOf([
        self,
        memberOf("gold-2", { endpoints: [whole] }),
        memberOf("silver-1", { endpoints: [said] }),
      ]),
    );
    expect(out).toContain(`
! silver-1/vllm: its own router calls it silent

tier    endpoints  available  in use  utilization
gold            2          2  16/128         13 %
silver          1          0    0/64          0 %

endpoint              state  pressure  in use      p50      p99  breaker    tier
gold-1/vllm              ok      25 %   16/64    13 ms    30 ms   closed    gold
silver-1/vllm  silent there      90 %    0/64   ~15 ms        -   closed  silver
gold-2/vllm              ok      50 %    0/64  *120 ms  *800 ms   closed    gold
* whole answers: nothing was streamed; ~ as its own host says
`);
  });

  test("says what is wrong first, the gravest before the others, and counts what there is no room for", async () => {
    const at = (name: string, fields: object) =>
      memberOf(name, { endpoints: [endpointOf(`${name}/e`, { ...fields })] });
    const out = await shown(
      fleetOf([
        self,
        memberOf("a", { intents: { entries: 0, epoch: 2, same_epoch: false } }),
        at("b", { state: "breaker-open", breaker: "open" }),
        at("c", { breaker: "open" }),
        memberOf("d", { draining: true }),
        memberOf("e", { state: "dead", accused, tiers: ["gold", "silver"], endpoints: [] }),
        memberOf("f", {
          state: "suspect",
          accused,
          state_age_ms: 2300,
          // Said already, with its host.
          endpoints: [endpointOf("f/e", { state: "suspect", breaker: "open" })],
        }),
      ]),
    );
    expect(out.split("\n").slice(0, 8)).toEqual([
      "gold-1 is ready. 7 hosts: 5 alive, 1 dead, 1 suspect.",
      "",
      "! f: suspect for 2.3 s, so nothing new is sent there; first missed by gold-2: connect-timeout; 2 of 3 others asked could not reach it either",
      "! e: dead for 5.0 s, and its gold and silver engines; first missed by gold-2: connect-timeout; 2 of 3 others asked could not reach it either",
      "! d: draining: nothing new goes to its engines",
      "! b/e: breaker open: calls to it fail",
      "! and 2 more: 1 breaker-open, 1 with other intents",
      "",
    ]);
  });

  test.each([
    [4999, "tier "],
    [5000, "! gold-2/vllm: it has not said which models it serves"],
    [null, "! gold-2/vllm: it has not said which models it serves"],
  ])("%p ms after a member's start, of an engine that has not said its models: %p", async (ms, line) => {
    const endpoints = [endpointOf("gold-2/vllm", { state: "models-unknown" })];
    const out = await shown(fleetOf([self, memberOf("gold-2", { state_age_ms: ms, endpoints })]));
    expect(out.split("\n")[2]).toStartWith(line);
    expect(out).toContain("models-unknown");
  });

  test.each([
    [{ phase: "starting" }, "! gold-1: starting: takes no requests yet"],
    [{ panic: true }, "! panic: most peers are suspect or draining, so suspicion is not believed"],
  ])("says of the router itself %p", async (more, line) => {
    expect((await shown(fleetOf([self], more))).split("\n")[2]).toBe(line);
  });

  test("does not say of a suspect that nothing is sent there while suspicion is not believed", async () => {
    const suspect = memberOf("f", { state: "suspect", state_age_ms: 2300 });
    const out = await shown(fleetOf([self, suspect], { panic: true }));
    expect(out.split("\n").slice(2, 4)).toEqual([
      "! panic: most peers are suspect or draining, so suspicion is not believed",
      "! f: suspect for 2.3 s",
    ]);
  });

  test("of 50 hosts fits 80 columns and 24 lines, with many of one trouble in one line", async () => {
    const peers = Array.from({ length: 49 }, (_, index) => {
      const name = `gold-${index + 2}`;
      const pressure = index / 49;
      if (index < 10) return memberOf(name, { state: "dead", accused, endpoints: [] });
      return memberOf(name, { endpoints: [endpointOf(`${name}/vllm`, { pressure })] });
    });
    const out = await shown(
      fleetOf([self, ...peers], { jobs: { ...jobs, queued: 12, oldest_seconds: 90 } }),
      80,
    );
    const lines = out.trimEnd().split("\n");
    expect(lines.length).toBeLessThanOrEqual(24);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
    expect(lines[2]).toBe("! 10 hosts dead: gold-2, gold-3, gold-4, gold-5 and 6 more");
    expect(out).toContain("\nand 33 more under less pressure: tierline top --once\n");
    expect(out.match(/^gold-\d+\/vllm/gm)?.slice(0, 3)).toEqual([
      "gold-1/vllm",
      "gold-50/vllm",
      "gold-49/vllm",
    ]);
  });

  test("in a narrow window leaves out columns, cuts names and wraps sentences", async () => {
    const long = endpointOf(`${"long-".repeat(8)}1/vllm`, { pressure: 1 });
    const suspect = memberOf("gold-2", { state: "suspect", accused, endpoints: [long] });
    const out = await shown(fleetOf([self, suspect]), 40);
    for (const line of out.split("\n")) expect(line.length).toBeLessThanOrEqual(40);
    expect(out).toContain(
      "! gold-2: suspect for 5.0 s, so nothing\n    new is sent there; first missed by\n",
    );
    expect(out).toContain("\nlong-long-long-long-lo…     ok     100 %\n");
  });

  test("shows what peers say without what a terminal would obey", async () => {
    const why = "\u001b[2Jrefused\u0007";
    const out = await shown(fleetOf([self, memberOf("b", { state: "suspect", accused: { by: "c", why } })]));
    expect(out).toContain("first missed by c: ?[2Jrefused?\n");
  });

  test("of a fleet without an engine says so", async () => {
    expect(
      await shown(fleetOf([memberOf("door", { tiers: [], endpoints: [] })])),
    ).toBe(`door is ready. 1 host.

No engine anywhere in the fleet.

cache hits here: intents 97.0 % of 1,000, results off
`);
  });

  test("--json hands on what the router said, the caches beside it", async () => {
    const fleet = fleetOf([self], { more: 1 });
    const { url } = listener(routerOf(fleet));
    const { exit, out } = await tierline(["status", "--json", "--admin", url]);
    expect(exit).toBe(0);
    expect(JSON.parse(out)).toEqual({ ...fleet, caches });
  });

  test("exits 1 where no router answers, or one that speaks otherwise", async () => {
    expect(await tierline(["status", "--admin", "http://127.0.0.1:1"])).toMatchObject({ exit: 1, out: "" });
    const { url } = listener({ body: {} });
    expect(await tierline(["status", "--admin", url])).toEqual({
      exit: 1,
      out: "",
      err: `What answers at ${url} does not speak like a router of this version.\n`,
    });
  });
});
