import { expect, test } from "bun:test";
import { claimKey } from "../../src/jobs/key-claims.ts";
import { memoryObjects } from "../support/memory-objects.ts";

const place = { bucket: "bucket", key: "m" };
const { signal } = new AbortController();
const asked = { caller: "lobby", key: "quest-7", bodyHash: "abc" };

test("an idempotency key stands for the job of whoever claimed it first, in the whole fleet", async () => {
  const objects = memoryObjects();
  const claim = (id: string, change = {}) => claimKey(place, { ...asked, ...change }, id, objects, signal);
  expect(await claim("job_a")).toEqual({ kind: "claimed" });
  expect(await claim("job_a")).toEqual({ kind: "claimed" });
  expect(await claim("job_b")).toEqual({ kind: "same", id: "job_a" });
  expect(await claim("job_b", { bodyHash: "other" })).toEqual({ kind: "mismatch" });
  expect(await claim("job_b", { caller: "arena" })).toEqual({ kind: "claimed" });
  expect(await claim("job_c", { caller: null })).toEqual({ kind: "claimed" });
});

test("of many who claim one key at one time all but one get the job of that one", async () => {
  const objects = memoryObjects();
  const ids = ["job_a", "job_b", "job_c", "job_d"];
  const answers = await Promise.all(ids.map((id) => claimKey(place, asked, id, objects, signal)));
  const winner = ids[answers.findIndex(({ kind }) => kind === "claimed")] ?? "";
  expect(answers.filter(({ kind }) => kind === "claimed")).toHaveLength(1);
  for (const answer of answers)
    if (answer.kind !== "claimed") expect(answer).toEqual({ kind: "same", id: winner });
});

test("a claim that could not be made, or cannot be read, is trouble and no job", async () => {
  const objects = memoryObjects();
  objects.fail("throttled", 1);
  expect(await claimKey(place, asked, "job_a", objects, signal)).toMatchObject({ trouble: "throttled" });
  await claimKey(place, asked, "job_a", objects, signal);
  const [key = ""] = objects.keys();
  await objects.put({ bucket: "bucket", key }, Buffer.from("?"), "always", signal);
  expect(await claimKey(place, asked, "job_b", objects, signal)).toMatchObject({ kind: "trouble" });
});
