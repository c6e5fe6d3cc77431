// Errors as OpenAI's SDKs read them.

import { describe, expect, test } from "bun:test";
import type { ErrorCode, ErrorRow } from "../../src/base/error-codes.ts";
import { errorCodes } from "../../src/base/error-codes.ts";
import { errorResponse } from "../../src/http/errors.ts";

const codes = Object.keys(errorCodes) as ErrorCode[];

describe("errorResponse", () => {
  for (const code of codes) {
    const row: ErrorRow = errorCodes[code];
    test(`${code} is ${row.status}, with a body in OpenAI's shape`, async () => {
      const response = errorResponse(code, "Why.");
      expect(response.status).toBe(row.status);
      expect(response.headers.get("content-type")).toBe("application/json");
      expect(response.headers.get("x-should-retry")).toBe(row.retry === undefined ? null : String(row.retry));
      expect(await response.json()).toEqual({
        error: { message: "Why.", type: row.type, param: null, code },
      });
    });
  }

  test("tells when to come back in milliseconds and in whole seconds, never 0", () => {
    for (const [ms, seconds] of [
      [1, "1"],
      [999, "1"],
      [1001, "2"],
      [60_000, "60"],
    ] as const) {
      const { headers } = errorResponse("tier_overloaded", "Full.", { retryAfterMs: ms });
      expect([headers.get("retry-after-ms"), headers.get("retry-after")]).toEqual([String(ms), seconds]);
    }
    const { headers } = errorResponse("tier_overloaded", "Full.");
    expect([headers.get("retry-after-ms"), headers.get("retry-after")]).toEqual([null, null]);
  });

  test("names the parameter that is wrong, and carries further headers", async () => {
    const response = errorResponse("method_not_allowed", "No.", {
      param: "model",
      headers: { allow: "POST" },
    });
    expect(response.headers.get("allow")).toBe("POST");
    expect(await response.json()).toMatchObject({ error: { param: "model" } });
  });
});
