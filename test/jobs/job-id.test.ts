import { expect, test } from "bun:test";
import fc from "fast-check";
import { seededRandom } from "../../src/base/random.ts";
import { createJobIds, readJobId, ulidOf } from "../../src/jobs/job-id.ts";
import { virtualClock } from "../support/virtual-clock.ts";

test("an id reads back as its member and its ULID, whatever the member is called", () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[a-zA-Z0-9._-]{1,40}$/), fc.integer(), (member, seed) => {
      const id = createJobIds(member, virtualClock(), seededRandom(seed))();
      expect(readJobId(id)).toEqual({ member, ulid: ulidOf(id) });
    }),
  );
});

test("ids rise within one millisecond, over milliseconds, and where the wall clock steps back", async () => {
  const clock = virtualClock();
  const next = createJobIds("gold-1", clock, seededRandom(1));
  const ids: string[] = [];
  for (let round = 0; round < 50; round += 1) {
    for (let times = 0; times < 20; times += 1) ids.push(next());
    if (round === 25) clock.stepWallMs(-3_600_000);
    else await clock.advance(1);
  }
  expect(ids).toEqual([...new Set(ids)].sort());
});

test("ids rise when the dice of a millisecond are all at their highest", () => {
  const next = createJobIds("gold-1", virtualClock(), () => 0.999999);
  const [first, second] = [next(), next()];
  expect(first).toEndWith("Z".repeat(16));
  expect(second).toEndWith("0".repeat(16));
  expect(second > first).toBe(true);
});

test("the time of an id is that of the wall clock, in Crockford's digits", () => {
  // 2026-01-01T00:00:00Z = 1767225600000.
  expect(createJobIds("m", virtualClock(), () => 0)()).toBe("job_m_01KDVDNA000000000000000000");
});

test("readJobId refuses what is no id", () => {
  for (const text of [
    "",
    "job__01JD0000000000000000000000",
    "job_gold-1_01JD",
    "job_gold-1_01JD000000000000000000000I",
    "job_gold-1_91JD0000000000000000000000",
    "jobs_gold-1_01JD0000000000000000000000",
    "job_gold-1_01JD0000000000000000000000 ",
  ]) {
    expect([text, readJobId(text)]).toEqual([text, undefined]);
  }
});
