import { expect, test } from "bun:test";
import { createInTurn } from "../../src/jobs/in-turn.ts";

test("work on one key goes one after the other, whatever became of the one before, and other keys do not wait", async () => {
  const inTurn = createInTurn();
  const told: string[] = [];
  const first = Promise.withResolvers<number>();
  const begins = (name: string, work: () => Promise<number>) => async () => {
    told.push(name);
    return await work();
  };
  const broken = inTurn(
    "k",
    begins("first", () => first.promise),
  );
  const second = inTurn(
    "k",
    begins("second", async () => 2),
  );
  expect(
    await inTurn(
      "other",
      begins("other", async () => 3),
    ),
  ).toBe(3);
  expect(told).toEqual(["first", "other"]);
  first.reject(new Error("no"));
  expect(await broken.catch(String)).toBe("Error: no");
  expect(await second).toBe(2);
  expect(
    await inTurn(
      "k",
      begins("third", async () => 4),
    ),
  ).toBe(4);
  expect(told).toEqual(["first", "other", "second", "third"]);
});
