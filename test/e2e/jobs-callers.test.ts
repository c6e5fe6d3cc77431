// What is whose among the jobs of the compiled binary: keys of callers, and the keys by which they repeat themselves.

import { expect, setDefaultTimeout, test } from "bun:test";
import { errorOf, folder, jobClient, saidBack, startBronze, tale } from "../support/bronze.ts";
import { cleanup } from "../support/cleanup.ts";
import { keysFile } from "../support/keys-file.ts";

setDefaultTimeout(30_000);

const ends = cleanup();

/** A folder, and the lines that name their keys. */
function twoCallers() {
  const { dir } = ends(folder());
  return { dir, config: ends(keysFile("lobby:sk-lobby", "quest:sk-quest")).toml };
}

test("an idempotency key is one job: 202 while it runs, 200 after its end, 422 with another body or ttl, and each caller's own", async () => {
  const { aws, router } = await startBronze(ends, {
    ...twoCallers(),
    aws: { instances: 0, scaleUpMs: 1500 },
  });
  const [lobby, quest] = [jobClient(router.url, "sk-lobby"), jobClient(router.url, "sk-quest")];
  const request = tale();
  const headers = { "idempotency-key": "quest-1138" };
  const id = await lobby.placed(request, { headers });
  expect(await lobby.placed(request, { headers })).toBe(id);
  const other = { status: 422, code: "idempotency_mismatch" };
  expect(errorOf(await lobby.order(tale(), { headers }))).toMatchObject(other);
  expect(errorOf(await lobby.order(request, { headers, ttl_seconds: 60 }))).toMatchObject(other);
  expect(await quest.placed(request, { headers })).not.toBe(id);
  expect((await lobby.get(id, 20)).job["status"]).toBe("succeeded");
  const again = await lobby.order(request, { headers });
  expect([again.status, again.job["id"]]).toEqual([200, id]);
  expect(again.job["result"]).toMatchObject({ choices: [{ message: { content: saidBack(request) } }] });
  expect(aws.invocations).toHaveLength(2);
  const blank = await lobby.order(request, { headers: { "idempotency-key": "with a space" } });
  expect(errorOf(blank)).toMatchObject({ status: 400, code: "invalid_request" });
});

test("a job is its caller's alone: others can neither see, list nor cancel it, and without a key nobody gets in", async () => {
  const { aws, router, jobs } = await startBronze(ends, twoCallers());
  aws.fault({ kind: "lost-output" });
  const [lobby, quest] = [jobClient(router.url, "sk-lobby"), jobClient(router.url, "sk-quest")];
  const id = await lobby.placed();
  const unknown = { status: 404, code: "job_not_found", param: null };
  expect(errorOf(await quest.get(id))).toEqual(unknown);
  expect(errorOf(await quest.cancel(id))).toEqual(unknown);
  expect((await quest.list()).job["data"]).toEqual([]);
  expect(errorOf(await jobs.get(id))).toMatchObject({ status: 401, code: "invalid_api_key" });
  expect((await lobby.list()).job["data"]).toMatchObject([{ id }]);
  expect((await lobby.cancel(id)).job["status"]).toBe("cancelled");
});
