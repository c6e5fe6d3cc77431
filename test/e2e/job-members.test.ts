// Jobs of one compiled router asked for at another: they know of each other by gossip, and the callers' keys are asked for.

import { expect, test } from "bun:test";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { messages } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { keysFile } from "../support/keys-file.ts";
import { openAiErrorOf } from "../support/openai-error.ts";
import { startPair } from "../support/pair.ts";
import { engineToml } from "../support/tierline.ts";

const ends = cleanup();
const lobby = { authorization: "Bearer a" };
const read = async (response: Response) => JSON.parse(await response.text());

/** `lane`: whether the first host has one; the second has. */
async function stage({ lane = true } = {}) {
  const keys = ends(keysFile("lobby:a", "arena:b"));
  const engine = ends(await startSimulatedEngine({ model: "small", msPerToken: 20 }));
  const engineOnly = engineToml("gold", engine.url);
  const config = `[tier.bronze]\nrunner = "local"\n${engineOnly}`;
  const pair = await startPair(
    [
      { name: "gold-1", config: lane ? config : engineOnly },
      { name: "gold-2", config },
    ],
    keys.toml,
  );
  return ends(pair);
}

test("a job is read, listed and cancelled at the other host by its caller, until its host is killed", async () => {
  const { first, second } = await stage();
  const order = async (tokens: number): Promise<string> => {
    const body = JSON.stringify({ request: { messages, max_tokens: tokens } });
    const response = await fetch(`${second.url}/v1/jobs`, { method: "POST", headers: lobby, body });
    expect(response.status).toBe(202);
    return (await read(response)).id;
  };
  const here = (path: string, headers: Record<string, string> = lobby, method = "GET") =>
    fetch(`${first.url}/v1/jobs${path}`, { method, headers });

  const short = await order(2);
  const done = await here(`/${short}?wait=20`);
  expect([done.status, await read(done)]).toMatchObject([200, { id: short, status: "succeeded" }]);
  expect((await here(`/${short}`, { authorization: "Bearer b" })).status).toBe(404);
  expect((await here(`/${short}`, {})).status).toBe(401);

  const long = await order(5000);
  const listed = await read(await here(""));
  expect(listed.data.map(({ id }: { id: string }) => id)).toEqual([long, short]);
  const cancelled = await here(`/${long}/cancel`, lobby, "POST");
  expect([cancelled.status, await read(cancelled)]).toMatchObject([200, { status: "cancelled" }]);

  const lost = await order(5001);
  const waiting = here(`/${lost}?wait=60`);
  await Bun.sleep(100);
  second.signal("SIGKILL");
  expect((await openAiErrorOf(await waiting)).code).toBe("job_owner_unreachable");
  expect(await read(await here(""))).toMatchObject({ data: [], unreachable: ["gold-2"] });
}, 60_000);

test("a host without a lane takes no job, and answers for those of the others", async () => {
  const { first, second } = await stage({ lane: false });
  const order = (url: string) =>
    fetch(`${url}/v1/jobs`, {
      method: "POST",
      headers: lobby,
      body: JSON.stringify({ request: { messages, max_tokens: 2 } }),
    });
  expect((await openAiErrorOf(await order(first.url))).code).toBe("no_endpoint");
  const { id } = await read(await order(second.url));
  const done = await fetch(`${first.url}/v1/jobs/${id}?wait=20`, { headers: lobby });
  expect([done.status, await read(done)]).toMatchObject([200, { id, status: "succeeded" }]);
  const listed = await read(await fetch(`${first.url}/v1/jobs`, { headers: lobby }));
  expect(listed.data).toMatchObject([{ id }]);
  const nobodys = `job_gold-1_${"0".repeat(26)}`;
  expect((await openAiErrorOf(await fetch(`${first.url}/v1/jobs/${nobodys}`, { headers: lobby }))).code).toBe(
    "job_not_found",
  );
}, 60_000);
