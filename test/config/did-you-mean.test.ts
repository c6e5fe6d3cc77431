import { expect, test } from "bun:test";
import { nearest } from "../../src/config/did-you-mean.ts";

const known = ["public", "admin", "max_queue", "max_concurrent", "total_ms", "log"];

test.each([
  ["pulbic", "public"],
  ["Public", "public"],
  ["adm", "admin"],
  ["maxqueue", "max_queue"],
  ["max_concurrency", "max_concurrent"],
  ["lgo", "log"],
])("nearest takes %s for %s", (word, meant) => {
  expect(nearest(word, known)).toBe(meant);
});

// The last begins two words: either guess would be a coin toss.
test.each(["", "x", "wheelbarrow", "max"])("nearest makes no guess for %p", (word) => {
  expect(nearest(word, known)).toBeUndefined();
});
