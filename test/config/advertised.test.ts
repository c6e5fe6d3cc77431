import { expect, test } from "bun:test";
import { parseAdvertised } from "../../src/config/advertised.ts";

test.each([
  ["10.0.1.10", { host: "10.0.1.10" }],
  ["10.0.1.10:8010", { host: "10.0.1.10", port: 8010 }],
  ["[2001:db8::1]", { host: "2001:db8::1" }],
  ["[2001:db8::1]:8010", { host: "2001:db8::1", port: 8010 }],
  ["gold-1.internal", { host: "gold-1.internal" }],
] as const)("parseAdvertised reads %s", (text, advertised) => {
  expect(parseAdvertised(text)).toEqual(advertised);
});

// The last could be an address and a port, or an address alone.
test.each(["", "8010", "a:0", "0.0.0.0", "[::]:8010", "a:65536", "http://a", "a:1:2", "2001:db8::1:8010"])(
  "parseAdvertised refuses %p",
  (text) => {
    expect(parseAdvertised(text)).toBeUndefined();
  },
);
