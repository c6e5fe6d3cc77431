// Jobs that another router of the fleet has: any router answers for any job, in the caller's name and in nobody else's.

import { describe, expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { Dispatched } from "../../src/dispatch/dispatched.ts";
import { createAuthenticate } from "../../src/http/auth.ts";
import type { FoundJob } from "../../src/jobs/desk.ts";
import { createClosedDesk } from "../../src/jobs/idle-desk.ts";
import type { Job } from "../../src/jobs/job.ts";
import { troubleOf } from "../../src/jobs/trouble.ts";
import { cleanup } from "../support/cleanup.ts";
import { answer } from "../support/desk-scene.ts";
import type { JobRouter, JobRouterOptions } from "../support/job-routers.ts";
import { jobRouters } from "../support/job-routers.ts";
import { openAiErrorOf } from "../support/openai-error.ts";
import type { ScriptedRunner } from "../support/scripted-runner.ts";
import { scriptedRunner } from "../support/scripted-runner.ts";
import { until } from "../wire/reading.ts";

const ends = cleanup();
const authenticate = createAuthenticate([
  { name: "lobby", key: "a" },
  { name: "arena", key: "b" },
]);
const keyed = { settings: { authenticate } };
const lobby = { authorization: "Bearer a" };
const arena = { authorization: "Bearer b" };

const fleetOf = () => ends(jobRouters());

/** Two hosts; the first is asked, the second has the jobs. */
function pair(first: JobRouterOptions = {}, second: JobRouterOptions = {}) {
  const fleet = fleetOf();
  return { fleet, here: fleet.router("gold-1", first), there: fleet.router("gold-2", second) };
}

const read = async (response: Response) => JSON.parse(await response.text());
const codeOf = async (response: Response): Promise<string> => {
  const { code } = await openAiErrorOf(response);
  return `${response.status} ${code}`;
};
const endless: ScriptedRunner["onSubmit"] = (_, signal) =>
  new Promise((resolve) => {
    signal.addEventListener("abort", () =>
      resolve({ kind: "again", about: "runner", afterMs: 0, why: "cut" }),
    );
  });
const ulid = (n: number): string => `01J${String(n).padStart(23, "0")}`;

/** As another router asks, with a seal of its own. */
const sealed = (from: JobRouter, method: string, path: string, caller: string | undefined) => ({
  "x-tierline-peer": from.seals.seal(`${method} ${path}`, { caller }, 0).header,
});

const jobOf = (more: Partial<Job> = {}): Job => ({
  id: `job_gold-2_${ulid(1)}`,
  owner: null,
  kind: "chat",
  model: "story-70b",
  ttlMs: 3_600_000,
  acceptedAtMs: 1_767_225_600_000,
  state: "accepted",
  attempt: 1,
  fence: 1,
  recoveries: 0,
  outputKey: "k",
  ...more,
});
const found = (more: Partial<Job> = {}): FoundJob => ({
  kind: "found",
  job: jobOf(more),
  result: more.state === "done" ? answer : undefined,
});

describe("a job of another host", () => {
  test("is read here as it is there, by its caller, with a key that only this host was shown", async () => {
    const { here, there } = pair(keyed, keyed);
    there.runner.onSubmit = () => ({ kind: "done", result: Buffer.from('{ "n" : 1.50 }') });
    const id = await there.placed(lobby);
    const response = await here.ask("GET", `/v1/jobs/${id}?wait=5`, undefined, lobby);
    expect([response.status, response.headers.get("content-type")]).toEqual([200, "application/json"]);
    expect(await response.text()).toEndWith(',"result":{ "n" : 1.50 }}');
    expect(response.headers.get("x-tierline-peer")).toBeNull();
    expect(response.headers.get("x-request-id")).toMatch(/^req_/);
    expect(there.asked.at(-1)).toMatch(new RegExp(`^GET /v1/jobs/${id}\\?wait=[0-9.]+$`));
  });

  test("is not there for another caller, and is as unknown as one that never was", async () => {
    const { here, there } = pair(keyed, keyed);
    const id = await there.placed(lobby);
    const never = id.replace(/.{4}$/, "0000");
    for (const [what, path, method] of [
      ["its own", `/v1/jobs/${id}`, "GET"],
      ["its own", `/v1/jobs/${id}/cancel`, "POST"],
      ["nobody's", `/v1/jobs/${never}`, "GET"],
    ] as const) {
      const response = await here.ask(method, path, undefined, arena);
      expect([what, await codeOf(response)]).toEqual([what, "404 job_not_found"]);
    }
    expect(await codeOf(await here.ask("GET", `/v1/jobs/${id}`))).toBe("401 invalid_api_key");
    expect((await here.ask("GET", `/v1/jobs/${id}`, undefined, lobby)).status).toBe(200);
  });

  test("is waited for there, and who leaves here leaves there", async () => {
    const { here, there } = pair();
    there.runner.onSubmit = endless;
    const id = await there.placed();
    const leaving = new AbortController();
    const asked = fetch(`${here.url}/v1/jobs/${id}?wait=60`, { signal: leaving.signal }).catch(() => "left");
    await until(() => there.door.lifecycle.active === 1);
    expect(here.door.lifecycle.active).toBe(1);
    leaving.abort();
    expect(await asked).toBe("left");
    await until(() => there.door.lifecycle.active === 0 && here.door.lifecycle.active === 0);
  });

  test("is waited for no longer than this host stays: the caller is told how it stands there", async () => {
    const { here, there } = pair();
    there.runner.onSubmit = endless;
    const id = await there.placed();
    const asked = here.ask("GET", `/v1/jobs/${id}?wait=60`);
    await until(() => there.door.lifecycle.active === 1);
    here.door.lifecycle.enter("draining");
    const response = await asked;
    expect([response.status, await read(response)]).toMatchObject([200, { id, status: "queued" }]);
    expect(there.asked.at(-1)).toBe(`GET /v1/jobs/${id}`);
    await until(() => there.door.lifecycle.active === 0);
    expect((await read(await here.ask("GET", `/v1/jobs/${id}?wait=60`))).status).toBe("queued");
  });

  test("is waited for although its own host drains and holds nobody", async () => {
    const { here, there } = pair();
    there.runner.onSubmit = endless;
    const id = await there.placed();
    const asked = here.ask("GET", `/v1/jobs/${id}?wait=60`);
    await until(() => there.door.lifecycle.active === 1);
    there.door.lifecycle.enter("draining");
    await there.door.lifecycle.settled();
    await there.ask("POST", `/v1/jobs/${id}/cancel`);
    expect((await read(await asked)).status).toBe("cancelled");
  });

  test("is cancelled from here, once", async () => {
    const { here, there } = pair();
    there.runner.onSubmit = endless;
    const id = await there.placed();
    const response = await here.ask("POST", `/v1/jobs/${id}/cancel`);
    expect([response.status, (await read(response)).status]).toEqual([200, "cancelled"]);
    const twice = await here.ask("POST", `/v1/jobs/${id}/cancel`);
    expect(twice.headers.get("x-should-retry")).toBe("false");
    expect(await codeOf(twice)).toBe("409 job_ended");
  });

  test("is read although the clocks of the two are an hour apart", async () => {
    const { here, there } = pair({}, { offMs: 3_600_000 });
    const id = await there.placed();
    for (let turn = 0; turn < 3; turn += 1)
      expect((await here.ask("GET", `/v1/jobs/${id}`)).status).toBe(200);
    expect(there.refused).toEqual(["stale"]);
  });

  test("whose host is dead, or unknown, is 503 with its place and the time to come back", async () => {
    const { fleet, here, there } = pair();
    const id = await there.placed();
    fleet.becomes("gold-2", "dead");
    const response = await here.ask("GET", `/v1/jobs/${id}`);
    expect(Number(response.headers.get("retry-after-ms"))).toBeGreaterThan(0);
    expect(response.headers.get("location")).toBe(`/v1/jobs/${id}`);
    expect(await codeOf(response)).toBe("503 job_owner_unreachable");
    expect(there.asked).toEqual(["POST /v1/jobs"]);
  });

  test("that was named by a host of which nobody has heard is 404, and 503 as long as that host may be starting", async () => {
    const { here } = pair({ isOld: true });
    const young = pair().here;
    for (const [what, method] of [
      ["", "GET"],
      ["?wait=60", "GET"],
      ["/cancel", "POST"],
    ] as const) {
      const path = `/v1/jobs/job_gold-9_${ulid(1)}${what}`;
      expect([what, await codeOf(await here.ask(method, path))]).toEqual([what, "404 job_not_found"]);
      expect([what, await codeOf(await young.ask(method, path))]).toEqual([
        what,
        "503 job_owner_unreachable",
      ]);
    }
  });

  test("of a suspect is asked for all the same", async () => {
    const { fleet, here, there } = pair();
    const id = await there.placed();
    fleet.becomes("gold-2", "suspect");
    expect((await here.ask("GET", `/v1/jobs/${id}`)).status).toBe(200);
  });

  test("whose host dies while it is waited for is not waited for any longer", async () => {
    const { fleet, here, there } = pair();
    there.runner.onSubmit = endless;
    const id = await there.placed();
    const asked = here.ask("GET", `/v1/jobs/${id}?wait=60`);
    await until(() => there.door.lifecycle.active === 1);
    fleet.becomes("gold-2", "dead");
    expect(await codeOf(await asked)).toBe("503 job_owner_unreachable");
  });

  test("is not asked for at a router of another secret, whose word is not about the job", async () => {
    const id = `job_gold-2_${ulid(1)}`;
    const other = pair({}, { secret: "another" });
    expect(await codeOf(await other.here.ask("GET", `/v1/jobs/${id}`))).toBe("503 job_owner_unreachable");
    expect(other.there.refused).toEqual(["wrong-key"]);
  });

  test("is nobody's where its host has no lane any more", async () => {
    const { here } = pair({}, { withLane: false });
    expect(await codeOf(await here.ask("GET", `/v1/jobs/job_gold-2_${ulid(1)}`))).toBe("404 job_not_found");
  });

  test("is read at a host that has no lane, and at one whose job file is broken", async () => {
    const fleet = fleetOf();
    const bare = fleet.router("gold-1", { withLane: false });
    const closed = createClosedDesk(troubleOf("corrupt"), {
      member: "gold-3",
      runner: scriptedRunner(systemClock.now),
      models: undefined,
      requestBytesMost: 100_000,
      clock: systemClock,
      random: seededRandom(1),
    });
    const broken = fleet.router("gold-3", { instead: closed });
    const id = await fleet.router("gold-2").placed();
    for (const host of [bare, broken]) expect((await host.ask("GET", `/v1/jobs/${id}`)).status).toBe(200);
    const own = await broken.ask("GET", `/v1/jobs/job_gold-3_${ulid(1)}`);
    expect(await codeOf(own)).toBe("503 job_store_unavailable");
  });

  test("is not believed of a program that only stands where the host was, and the caller's key does not get there", async () => {
    const fleet = fleetOf();
    const here = fleet.router("gold-1", keyed);
    const shown: string[] = [];
    const stranger = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch(request) {
        shown.push(JSON.stringify([...request.headers]));
        return Response.json({ id: "job_x", status: "succeeded", result: "forged" });
      },
    });
    ends({ stop: () => stranger.stop(true) });
    fleet.member("gold-2", stranger.url.origin);
    const response = await here.ask("GET", `/v1/jobs/job_gold-2_${ulid(1)}`, undefined, lobby);
    expect(await codeOf(response)).toBe("503 job_owner_unreachable");
    expect(shown).toHaveLength(1);
    expect(shown[0]).toContain("caller=lobby");
    expect(shown[0]).not.toContain("Bearer");
  });
});

describe("a call from another router", () => {
  test("needs no key, and is in the name that is under its seal", async () => {
    const { here, there } = pair(keyed, keyed);
    const id = await there.placed(lobby);
    const path = `/v1/jobs/${id}`;
    for (const [caller, status] of [
      ["lobby", 200],
      ["arena", 404],
      [undefined, 404],
    ] as const) {
      const response = await there.ask("GET", path, undefined, sealed(here, "GET", path, caller));
      expect([caller, response.status]).toEqual([caller, status]);
      expect(response.headers.get("x-tierline-peer")).toBe("jobs=1");
    }
  });

  test("is never sent on: not for a third host's job, not for a list, not for an order", async () => {
    const fleet = fleetOf();
    const asker = fleet.router("gold-1");
    const third = fleet.router("gold-3");
    const id = await third.placed();
    const middle = fleet.router("gold-2", {
      instead: { order: async () => ({ kind: "elsewhere", id, member: "gold-3" }) },
    });
    third.asked.length = 0;
    const call = (method: string, path: string, body?: unknown) =>
      middle.ask(method, path, body, {
        ...sealed(asker, method, path, undefined),
        ...(body !== undefined && { "idempotency-key": "k" }),
      });
    expect(await codeOf(await call("GET", `/v1/jobs/${id}`))).toBe("503 job_owner_unreachable");
    expect(await codeOf(await call("GET", `/v1/jobs/${id}?wait=60`))).toBe("503 job_owner_unreachable");
    expect(await codeOf(await call("POST", `/v1/jobs/${id}/cancel`))).toBe("503 job_owner_unreachable");
    expect(await codeOf(await call("POST", "/v1/jobs", { request: {} }))).toBe("503 job_owner_unreachable");
    expect((await read(await call("GET", "/v1/jobs"))).data).toEqual([]);
    expect(third.asked).toEqual([]);
    expect((await middle.ask("GET", `/v1/jobs/${id}`)).status).toBe(200);
    expect(third.asked).toEqual([`GET /v1/jobs/${id}`]);
  });

  test("opens the paths of jobs and no others, for GET and POST and nothing else", async () => {
    const { here, there } = pair(keyed, keyed);
    for (const [method, path] of [
      ["GET", "/v1/models"],
      ["GET", "/v1/jobsx"],
      ["GET", "/v1/jobs/x/y"],
      ["POST", "/v1/chat/completions"],
      ["HEAD", "/v1/jobs"],
      ["PUT", "/v1/jobs"],
    ] as const) {
      const headers = sealed(here, method, path, "lobby");
      const response = await there.ask(method, path, undefined, headers);
      expect([method, path, response.status === 401 || response.status === 403]).toEqual([
        method,
        path,
        true,
      ]);
    }
  });

  test("is good for its own query and its own job, and once", async () => {
    const { here, there } = pair(keyed, keyed);
    const id = await there.placed(lobby);
    const path = `/v1/jobs/${id}?wait=0`;
    const headers = sealed(here, "GET", path, "lobby");
    const get = (at: string) => there.ask("GET", at, undefined, headers);
    for (const at of [`/v1/jobs/${id}`, `/v1/jobs/${id}?wait=0&x=1`, path.replace(id, `${id}0`)]) {
      const response = await get(at);
      expect([at, response.headers.get("x-tierline-peer-refused")]).toEqual([at, "wrong-key"]);
      expect(await codeOf(response)).toBe("403 forbidden");
    }
    expect((await get(path)).status).toBe(200);
    const again = await get(path);
    expect([again.status, again.headers.get("x-tierline-peer-refused")]).toEqual([403, "replayed"]);
  });

  test("with a bad seal is refused even beside a good key, and a caller's request has to be readable", async () => {
    const { here, there } = pair(keyed, keyed);
    const bad = { ...lobby, "x-tierline-peer": "hop=1;jobs=1;caller=lobby" };
    expect(await codeOf(await there.ask("GET", "/v1/jobs", undefined, bad))).toBe("403 forbidden");
    const unreadable = { ...sealed(here, "GET", "/v1/jobs", "lobby"), expect: "magic" };
    expect(await codeOf(await there.ask("GET", "/v1/jobs", undefined, unreadable))).toBe(
      "400 invalid_request",
    );
  });

  test("says that it comes from a router also where that one fails", async () => {
    const { here, there } = pair(
      {},
      {
        instead: {
          get: () => {
            throw new Error("a bug");
          },
          wait: () => Promise.reject(new Error("a bug")),
        },
      },
    );
    const path = `/v1/jobs/job_gold-2_${ulid(1)}`;
    const response = await there.ask("GET", path, undefined, sealed(here, "GET", path, undefined));
    expect([response.status, response.headers.get("x-tierline-peer")]).toEqual([500, "jobs=1"]);
  });
});

describe("where S3 knows of jobs", () => {
  const id = `job_gold-2_${ulid(1)}`;
  const get = (host: JobRouter, query = "") => host.ask("GET", `/v1/jobs/${id}${query}`);

  test("a dead host's job is answered from there, for its caller alone", async () => {
    const callers: (string | undefined)[] = [];
    const { fleet, here } = pair({
      ...keyed,
      instead: {
        seek: async (_, caller) => {
          callers.push(caller);
          return found({ state: "done", endedAtMs: 1_767_225_700_000 });
        },
      },
    });
    fleet.becomes("gold-2", "dead");
    const body = await read(await here.ask("GET", `/v1/jobs/${id}`, undefined, lobby));
    expect(body).toMatchObject({ id, status: "succeeded", result: JSON.parse(answer.toString()) });
    expect(callers).toEqual(["lobby"]);
  });

  test("a job that has changed hands is asked for at whoever has it, also to cancel it", async () => {
    const fleet = fleetOf();
    const here = fleet.router("gold-1", {
      instead: { seek: async () => ({ kind: "elsewhere", id, member: "gold-3" }) },
    });
    fleet.router("gold-2");
    const has: FoundJob = found({ state: "submitted" });
    const holder = fleet.router("gold-3", {
      instead: { get: () => has, wait: async () => has, cancel: async () => found({ state: "cancelled" }) },
    });
    expect((await read(await get(here))).status).toBe("running");
    const response = await here.ask("POST", `/v1/jobs/${id}/cancel`);
    expect([response.status, (await read(response)).status]).toEqual([200, "cancelled"]);
    expect(holder.asked).toEqual([`GET /v1/jobs/${id}`, `POST /v1/jobs/${id}/cancel`]);
  });

  test("a job whose first host says that it has lost it is asked for at the next", async () => {
    const fleet = fleetOf();
    const next: FoundJob = { kind: "elsewhere", id, member: "gold-3" };
    const here = fleet.router("gold-1", { instead: { seek: async () => next } });
    const first = fleet.router("gold-2", { instead: { get: () => next, wait: async () => next } });
    fleet.router("gold-3", { instead: { wait: async () => found({ state: "submitted" }) } });
    expect((await read(await get(here))).status).toBe("running");
    expect(first.asked).toEqual([`GET /v1/jobs/${id}`]);
  });

  test("a host that does not know its own job, and has it all the same, is asked once", async () => {
    const { here, there } = pair({
      instead: { seek: async () => ({ kind: "elsewhere", id, member: "gold-2" }) },
    });
    expect(await codeOf(await get(here))).toBe("503 job_owner_unreachable");
    expect(there.asked).toEqual([`GET /v1/jobs/${id}`]);
  });

  test("its trouble and its not knowing are said as they are", async () => {
    const refusal = (code: "job_not_found" | "job_store_unavailable"): FoundJob => ({
      kind: "refused",
      code,
      message: "So it is.",
      retryAfterMs: 5000,
    });
    for (const [code, told] of [
      ["job_not_found", "404 job_not_found"],
      ["job_store_unavailable", "503 job_store_unavailable"],
    ] as const) {
      const { here } = pair({ instead: { seek: async () => refusal(code) } });
      expect(await codeOf(await get(here))).toBe(told);
    }
  });

  test("an orphan cannot be cancelled before somebody has it; one that has ended is a conflict", async () => {
    for (const [state, told] of [
      ["accepted", "503 job_owner_unreachable"],
      ["done", "409 job_ended"],
    ] as const) {
      const { fleet, here } = pair({ instead: { seek: async () => found({ state }) } });
      fleet.becomes("gold-2", "dead");
      expect(await codeOf(await here.ask("POST", `/v1/jobs/${id}/cancel`))).toBe(told);
    }
  });

  test("a job whose host is alive and cannot be asked is shown as S3 knows it, and waited for; it is not cancelled", async () => {
    const { fleet, here, there } = pair({
      instead: { seek: async () => ({ kind: "elsewhere", id, member: "gold-2", job: jobOf() }) },
    });
    await there.stop();
    const response = await get(here);
    expect([response.status, (await read(response)).status]).toEqual([200, "queued"]);
    const began = performance.now();
    expect((await read(await get(here, "?wait=1"))).status).toBe("queued");
    expect(performance.now() - began).toBeGreaterThan(900);
    const cancelled = await here.ask("POST", `/v1/jobs/${id}/cancel`);
    expect(await codeOf(cancelled)).toBe("503 job_owner_unreachable");
    const waiting = get(here, "?wait=60");
    await until(() => here.door.lifecycle.active === 1);
    // It comes back, under another address, and has it.
    fleet.router("gold-2", { instead: { wait: async () => found({ state: "done", endedAtMs: 1 }) } });
    expect((await read(await waiting)).status).toBe("succeeded");
  });

  test("who waits for an orphan waits on, and gets it from whoever adopts it", async () => {
    const fleet = fleetOf();
    const seeks: number[] = [];
    const here = fleet.router("gold-1", {
      instead: {
        seek: async () => {
          seeks.push(performance.now());
          return seeks.length === 1 ? found() : { kind: "elsewhere", id, member: "gold-3" };
        },
      },
    });
    fleet.router("gold-3", { instead: { wait: async () => found({ state: "done", endedAtMs: 1 }) } });
    expect((await read(await get(here, "?wait=60"))).status).toBe("succeeded");
    expect(seeks).toHaveLength(2);
    const [first = 0, second = 0] = seeks;
    expect(second - first).toBeGreaterThan(1500);
    // Who does not wait is told at once.
    seeks.length = 0;
    expect((await read(await get(here))).status).toBe("queued");
  });
});

describe("an order whose key stands for another host's job", () => {
  const key = { "idempotency-key": "k-1" };
  const order = { request: { messages: [] } };
  const deferred: Dispatched = {
    kind: "defer",
    journey: { tried: [], queuedMs: 0, engineMs: 0, because: "deferred" },
  };

  /** The first host's desk says that the key is known as that job. */
  function orders(more: JobRouterOptions = {}) {
    const fleet = fleetOf();
    const there = fleet.router("gold-2", keyed);
    const known = { id: `job_gold-2_${ulid(1)}` };
    const here = fleet.router("gold-1", {
      ...keyed,
      ...more,
      instead: {
        order: async () => ({ kind: "elsewhere", id: known.id, member: "gold-2" }),
        ...more.instead,
      },
    });
    return { fleet, here, there, known };
  }

  test("gets that job, 202 while it is under way and 200 after its end, and 422 for another body", async () => {
    const { here, there, known } = orders();
    there.runner.onSubmit = endless;
    const first = await read(await there.ask("POST", "/v1/jobs", order, { ...lobby, ...key }));
    known.id = first.id;
    const again = () => here.ask("POST", "/v1/jobs", order, { ...lobby, ...key });
    const response = await again();
    expect([response.status, response.headers.get("location")]).toEqual([202, `/v1/jobs/${first.id}`]);
    expect((await read(response)).id).toBe(first.id);
    await there.ask("POST", `/v1/jobs/${first.id}/cancel`, undefined, lobby);
    const after = await again();
    expect([after.status, (await read(after)).status]).toEqual([200, "cancelled"]);
    const other = { request: { messages: [], n: 2 } };
    const mismatch = await here.ask("POST", "/v1/jobs", other, { ...lobby, ...key });
    expect(await codeOf(mismatch)).toBe("422 idempotency_mismatch");
  });

  test("is accepted there where that host has crashed before it could", async () => {
    const { here, there } = orders();
    const response = await here.ask(
      "POST",
      "/v1/jobs",
      { ...order, ttl_seconds: 60.5 },
      { ...lobby, ...key },
    );
    const { id } = await read(response);
    expect(response.status).toBe(202);
    const row = there.store.get(id);
    expect(row).toMatchObject({ kind: "found", value: { owner: "lobby", kind: "chat", ttlMs: 60_500 } });
    expect(there.asked).toEqual(["POST /v1/jobs"]);
  });

  test("is looked for where that host takes nothing any more", async () => {
    const { here, there, known } = orders();
    known.id = await there.placed(lobby);
    there.door.lifecycle.enter("draining");
    const response = await here.ask("POST", "/v1/jobs", order, { ...lobby, ...key });
    expect([response.status, (await read(response)).id]).toEqual([202, known.id]);
  });

  test("is 503 where nobody can tell", async () => {
    const { fleet, here } = orders();
    fleet.becomes("gold-2", "dead");
    const response = await here.ask("POST", "/v1/jobs", order, { ...lobby, ...key });
    expect(await codeOf(response)).toBe("503 job_owner_unreachable");
  });

  test("is answered in the place of an inference request as well", async () => {
    const { fleet, here, there, known } = orders({
      dispatch: () => Promise.resolve(deferred),
    });
    known.id = (await read(await there.ask("POST", "/v1/jobs", order, { ...lobby, ...key }))).id;
    const chat = (more: object = {}) =>
      here.ask(
        "POST",
        "/v1/chat/completions",
        { messages: [], ...more },
        { ...lobby, ...key, "x-tierline-sla": "async" },
      );
    const response = await chat();
    expect([response.status, response.headers.get("location")]).toEqual([202, `/v1/jobs/${known.id}`]);
    expect(response.headers.get("x-tierline-because")).toBe("deferred");
    expect((await read(response)).id).toBe(known.id);
    const other = await chat({ n: 2 });
    expect(other.headers.get("x-tierline-because")).toBe("deferred");
    expect(await codeOf(other)).toBe("422 idempotency_mismatch");
    fleet.becomes("gold-2", "dead");
    const gone = await chat();
    expect(gone.headers.get("location")).toBe(`/v1/jobs/${known.id}`);
    expect(await codeOf(gone)).toBe("503 job_owner_unreachable");
  });

  test("is told what ails S3, in the place of an inference request as well", async () => {
    const { fleet, here } = orders({
      dispatch: () => Promise.resolve(deferred),
      instead: {
        seek: async () => ({ kind: "refused", code: "job_store_unavailable", message: "S3 is silent." }),
      },
    });
    fleet.becomes("gold-2", "dead");
    const headers = { ...lobby, ...key, "x-tierline-sla": "async" };
    const response = await here.ask("POST", "/v1/chat/completions", { messages: [] }, headers);
    expect((await openAiErrorOf(response)).message).toBe("S3 is silent.");
  });

  test("is not said to be nobody's by S3 where its host may have named it a moment ago", async () => {
    const { fleet, here } = orders({
      instead: { seek: async () => ({ kind: "refused", code: "job_not_found", message: "Not there." }) },
    });
    fleet.becomes("gold-2", "dead");
    const response = await here.ask("POST", "/v1/jobs", order, { ...lobby, ...key });
    expect(await codeOf(response)).toBe("503 job_owner_unreachable");
  });
});

describe("a list", () => {
  const idsOf = (body: { data: { id: string }[] }): string[] => body.data.map(({ id }) => id);

  test("is the fleet's, the newest first, each job once, and its pages miss none", async () => {
    const fleet = fleetOf();
    const names = ["gold-1", "gold-2", "gold-3"];
    const hosts = names.map((name) => fleet.router(name, keyed));
    const [here] = hosts;
    if (here === undefined) throw new Error("no host");
    const placed: string[] = [];
    for (let n = 0; n < 9; n += 1) {
      const host = hosts[n % 3];
      if (host !== undefined) placed.unshift(await host.placed(n === 4 ? arena : lobby, { n }));
      await Bun.sleep(2);
    }
    const mine = placed.filter((_, place) => place !== 4);
    const page = async (query: string) => read(await here.ask("GET", `/v1/jobs${query}`, undefined, lobby));
    const whole = await page("");
    expect([idsOf(whole), whole.has_more, whole.unreachable]).toEqual([mine, false, undefined]);
    const seen: string[] = [];
    const more: boolean[] = [];
    for (let after = ""; more.at(-1) !== false; after = `&after=${seen.at(-1)}`) {
      const next = await page(`?limit=3${after}`);
      seen.push(...idsOf(next));
      more.push(next.has_more);
    }
    expect([seen, more]).toEqual([mine, [true, true, false]]);
    expect(idsOf(await page("?status=succeeded"))).toEqual([]);
  });

  test("names the hosts that have not answered, and not those that have no lane", async () => {
    const fleet = fleetOf();
    const here = fleet.router("gold-1");
    const [broken, stranger] = [fleet.router("gold-2"), fleet.router("gold-3", { secret: "another" })];
    fleet.router("gold-4", { withLane: false });
    fleet.member("gold-0", "http://127.0.0.1:9");
    await broken.stop();
    const id = await here.placed();
    await stranger.placed();
    const body = await read(await here.ask("GET", "/v1/jobs"));
    expect([idsOf(body), body.unreachable]).toEqual([[id], ["gold-0", "gold-2", "gold-3"]]);
  });

  test("has a job that two hosts have but once, as it ended", async () => {
    const row = { state: "done", endedAtMs: 1_767_225_700_000 } as const;
    for (const [own, other] of [
      [jobOf(), jobOf(row)],
      [jobOf(row), jobOf()],
    ] as const) {
      const list = (job: Job) => () => ({ kind: "listed" as const, jobs: [job], hasMore: false });
      const { here } = pair({ instead: { list: list(own) } }, { instead: { list: list(other) } });
      const body = await read(await here.ask("GET", "/v1/jobs"));
      expect(body.data).toMatchObject([{ id: own.id, status: "succeeded" }]);
    }
  });

  test("says that there is more where only another host has more", async () => {
    const jobs = [jobOf()];
    const { here } = pair({}, { instead: { list: () => ({ kind: "listed", jobs, hasMore: true }) } });
    expect((await read(await here.ask("GET", "/v1/jobs?limit=1"))).has_more).toBe(true);
  });
});
