import { expect, test } from "bun:test";
import { someAtOnce } from "../../src/base/some-at-once.ts";

test("someAtOnce does everything once, in order, and never more than so many at a time", async () => {
  const begun: number[] = [];
  let underWay = 0;
  let most = 0;
  await someAtOnce([...Array(20).keys()], 3, async (item) => {
    begun.push(item);
    underWay += 1;
    most = Math.max(most, underWay);
    await new Promise((resolve) => setImmediate(resolve));
    underWay -= 1;
  });
  expect(begun).toEqual([...Array(20).keys()]);
  expect([most, underWay]).toEqual([3, 0]);
});

test("someAtOnce of nothing is done at once", async () => {
  await someAtOnce([], 3, () => Promise.reject(new Error("nobody should ask")));
});

test("someAtOnce begins nothing more once one has rejected, and rejects with that", async () => {
  const begun: number[] = [];
  const all = someAtOnce([...Array(20).keys()], 2, async (item) => {
    begun.push(item);
    await new Promise((resolve) => setImmediate(resolve));
    if (item === 3) throw new Error("no");
  });
  expect(all).rejects.toThrow("no");
  await all.catch(() => {});
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  expect(begun.length).toBeLessThan(7);
});
