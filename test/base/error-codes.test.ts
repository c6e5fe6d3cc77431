// The closed list of errors, as api clients see it.

import { expect, test } from "bun:test";
import type { ErrorRow } from "../../src/base/error-codes.ts";
import { errorCodes } from "../../src/base/error-codes.ts";

const rows: readonly (readonly [string, ErrorRow])[] = Object.entries(errorCodes);

test("every code is an error status with a type of OpenAI's form", () => {
  for (const [code, { status, type }] of rows) {
    expect([code, status >= 400 && status <= 599]).toEqual([code, true]);
    expect(type).toMatch(/^[a-z_]+_error$/);
  }
});

test("every status that SDKs repeat by themselves says whether they should", () => {
  for (const [code, { status, retry }] of rows) {
    const repeated = status === 408 || status === 409 || status === 429 || status >= 500;
    expect([code, retry !== undefined]).toEqual([code, repeated]);
  }
});

test("only what passes by itself is worth repeating", () => {
  const worth = rows.filter(([, { retry }]) => retry === true).map(([code]) => code);
  expect(worth.sort()).toEqual([
    "draining",
    "host_overloaded",
    "job_owner_unreachable",
    "job_store_unavailable",
    "no_endpoint",
    "rate_limited",
    "starting",
    "tier_overloaded",
    "too_many_sockets",
  ]);
});
