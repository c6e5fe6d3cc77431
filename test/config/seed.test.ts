import { expect, test } from "bun:test";
import { parseSeed } from "../../src/config/seed.ts";

test.each([
  ["10.0.1.11:8012", { kind: "address", address: "10.0.1.11:8012" }],
  ["[2001:db8::1]:8012", { kind: "address", address: "[2001:db8::1]:8012" }],
  ["gold-2.internal:8012", { kind: "address", address: "gold-2.internal:8012" }],
  ["dns:8012", { kind: "address", address: "dns:8012" }],
  ["dns:tierline.internal:8012", { kind: "dns", host: "tierline.internal", port: 8012 }],
] as const)("parseSeed reads %s", (text, seed) => {
  expect(parseSeed(text)).toEqual(seed);
});

test.each([
  "",
  "10.0.1.11",
  "10.0.1.11:0",
  "0.0.0.0:8012",
  "[::]:8012",
  "http://10.0.1.11:8012",
  "dns:tierline.internal",
  "dns:tierline.internal:0",
  "dns:10.0.1.11:8012",
  "dns:[2001:db8::1]:8012",
  "ec2-tag:fleet=prod",
])("parseSeed refuses %p", (text) => {
  expect(parseSeed(text)).toBeUndefined();
});
