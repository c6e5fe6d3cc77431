import { expect, test } from "bun:test";
import { addressText, isLoopback, parseAddress } from "../../src/base/address.ts";

test.each([
  ["127.0.0.1:8010", "127.0.0.1", 8010, true],
  ["127.9.9.9:0", "127.9.9.9", 0, true],
  ["localhost:80", "localhost", 80, true],
  ["[::1]:8010", "::1", 8010, true],
  ["[::]:8010", "::", 8010, false],
  ["0.0.0.0:65535", "0.0.0.0", 65_535, false],
  ["gold-1.example:1", "gold-1.example", 1, false],
  // A name that only looks like loopback may resolve to anything.
  ["127.0.0.1.example:1", "127.0.0.1.example", 1, false],
] as const)("parseAddress reads %s", (text, host, port, loopback) => {
  const parsed = parseAddress(text);
  expect(parsed).toEqual({ host, port });
  expect(parsed && addressText(parsed)).toBe(text);
  expect(parsed && isLoopback(parsed)).toBe(loopback);
});

test.each([
  "",
  "8010",
  ":8010",
  "localhost",
  "localhost:",
  "::1:8010",
  "a:65536",
  "a:-1",
  "http://a:1",
  "a b:1",
  "[:]:1",
  `${"a".repeat(254)}:1`,
  `[${"1:".repeat(23)}]:1`,
])("parseAddress refuses %p", (text) => {
  expect(parseAddress(text)).toBeUndefined();
});
