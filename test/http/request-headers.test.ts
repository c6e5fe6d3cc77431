// What the caller's headers ask for, row by row, and what goes on to the engine and back.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  onwardHeaders,
  readCacheControl,
  readDeadlineMs,
  readSla,
  relayedHeaders,
  requestIdOf,
  traceOf,
} from "../../src/http/request-headers.ts";

describe("readDeadlineMs", () => {
  const read = (value: string | null): number | string | undefined => {
    const deadline = readDeadlineMs(value);
    return typeof deadline === "object" ? deadline.code : deadline;
  };

  for (const [value, ms] of [
    [null, undefined],
    ["1", 1],
    ["250", 250],
    ["0.5", 0.5],
    ["12.75", 12.75],
    ["007", 7],
    ["600000", 600_000],
    ["600001", 600_000],
    ["999999999999999", 600_000],
  ] as const) {
    test(`takes ${JSON.stringify(value)} for ${ms}`, () => {
      expect(read(value)).toBe(ms);
    });
  }

  for (const value of [
    "",
    " ",
    "0",
    "0.0",
    "-1",
    "+1",
    "1e3",
    "0x10",
    "NaN",
    "Infinity",
    "1,000",
    "1.",
    ".5",
    "1 2",
    " 5",
    "5ms",
    "٣",
    "1".repeat(301),
    "1, 2",
  ]) {
    test(`refuses ${JSON.stringify(value)}`, () => {
      expect(read(value)).toBe("invalid_request");
    });
  }

  test("quotes a bad value cut and printable, so that a log line stays one line", () => {
    const refused = readDeadlineMs(`${"x".repeat(500)}\n`);
    if (typeof refused !== "object") throw new Error("it was accepted");
    expect(refused.message.length).toBeLessThan(200);
    expect(refused.message).toMatch(/^[\x20-\x7e]+$/);
    expect(refused.param).toBe("x-tierline-deadline-ms");
  });

  test("answers any text with a number in (0, 600000] or a refusal", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.float().map(String)), (value) => {
        const ms = read(value);
        expect(ms === "invalid_request" || (typeof ms === "number" && ms > 0 && ms <= 600_000)).toBe(true);
      }),
    );
  });
});

test("readSla knows the three classes to the letter and refuses the rest", () => {
  expect(["realtime", "interactive", "async", null].map((value) => readSla(value))).toEqual([
    "realtime",
    "interactive",
    "async",
    undefined,
  ]);
  for (const value of ["", "Realtime", "gold", "realtime ", "constructor"]) {
    expect(readSla(value)).toMatchObject({ code: "invalid_request", param: "x-tierline-sla" });
  }
});

describe("requestIdOf", () => {
  test("keeps a printable id of at most 128 characters", () => {
    for (const id of ["a", "req-1/x:y", "~".repeat(128)]) expect(requestIdOf(id)).toBe(id);
  });

  test("makes one where there is none, or one that is too long, empty or not printable", () => {
    for (const id of [null, "", "x".repeat(129), "a b", "a\tb", "ü", "a\u0000"]) {
      expect(requestIdOf(id)).toMatch(/^req_[0-9a-f]{32}$/);
    }
    expect(requestIdOf(null)).not.toBe(requestIdOf(null));
  });
});

describe("traceOf", () => {
  const traceId = "0af7651916cd43dd8448eb211c80319c";
  const given = `00-${traceId}-b7ad6b7169203331-01`;
  const valid = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

  test("echoes a valid header and passes its trace and flags on with a span of our own", () => {
    for (const flags of ["00", "01", "03"]) {
      const trace = traceOf(given.replace(/01$/, flags));
      expect(trace.own).toBe(given.replace(/01$/, flags));
      expect(trace.onward).toMatch(valid);
      expect(trace.onward).toStartWith(`00-${traceId}-`);
      expect(trace.onward).toEndWith(`-${flags}`);
      expect(trace.onward).not.toBe(trace.own);
    }
  });

  for (const [title, value] of [
    ["no header", null],
    ["an empty one", ""],
    ["upper case", given.toUpperCase()],
    ["another version", given.replace(/^00/, "01")],
    ["the forbidden version", given.replace(/^00/, "ff")],
    ["a trace id of zeros", given.replace(traceId, "0".repeat(32))],
    ["a span of zeros", given.replace("b7ad6b7169203331", "0".repeat(16))],
    ["a short span", given.replace("b7ad6b7169203331", "b7ad")],
    ["more behind it", `${given}-extra`],
    ["two of them", `${given}, ${given}`],
    ["a line break behind it", `${given}\n`],
  ] as const) {
    test(`starts a new trace for ${title}`, () => {
      const trace = traceOf(value);
      expect(trace.onward).toMatch(valid);
      expect(trace.own).toBe(trace.onward);
      expect(trace.own).not.toContain(traceId);
    });
  }
});

describe("onwardHeaders", () => {
  const onward = (headers: Record<string, string>): Map<string, string> =>
    new Map(onwardHeaders(new Headers(headers), "id-1", traceOf(null)).map(([name, value]) => [name, value]));

  test("keeps the caller's secrets, the connection's own and ours from the engine", () => {
    const sent = onward({
      authorization: "Bearer secret",
      "x-api-key": "secret",
      "api-key": "secret",
      cookie: "a=b",
      "proxy-authorization": "Basic x",
      host: "router",
      "content-length": "5",
      "transfer-encoding": "chunked",
      "keep-alive": "timeout=5",
      te: "trailers",
      upgrade: "h2c",
      expect: "100-continue",
      origin: "http://localhost",
      "x-tierline-sla": "realtime",
      "x-tierline-peer": "forged",
    });
    // An engine is told that the body is JSON even where the caller forgot to.
    expect([...sent.keys()].sort()).toEqual([
      "accept-encoding",
      "content-type",
      "traceparent",
      "x-request-id",
    ]);
  });

  test("passes everything else on, the content type and the engine's own headers", () => {
    const sent = onward({
      "content-type": "application/json",
      "x-data-parallel-rank": "3",
      "user-agent": "game/1",
    });
    expect(sent.get("content-type")).toBe("application/json");
    expect(sent.get("x-data-parallel-rank")).toBe("3");
    expect(sent.get("user-agent")).toBe("game/1");
  });

  test("drops what the connection header names, in any case and spacing", () => {
    const sent = onward({ connection: "close ,  X-Hop", "x-hop": "1", "x-stay": "2" });
    expect(sent.has("x-hop")).toBe(false);
    expect(sent.get("x-stay")).toBe("2");
  });

  test("asks for a plain answer and gives our id, whatever the caller said", () => {
    const sent = onward({ "accept-encoding": "gzip", "x-request-id": "theirs" });
    expect(sent.get("accept-encoding")).toBe("identity");
    expect(sent.get("x-request-id")).toBe("id-1");
  });

  test("drops a value that is not plain ASCII instead of breaking the request", () => {
    expect(onward({ "x-name": "J\u00f8rgen" }).has("x-name")).toBe(false);
  });
});

describe("relayedHeaders", () => {
  const relayed = (entries: [string, string][]): Headers => {
    return new Headers(relayedHeaders(entries));
  };

  test("passes the engine's headers on, but for the connection's, the server's and what could be forged as ours", () => {
    const headers = relayed([
      ["content-type", "text/event-stream; charset=utf-8"],
      ["x-engine", "vllm"],
      ["content-length", "5"],
      ["transfer-encoding", "chunked"],
      ["connection", "close"],
      ["server", "uvicorn"],
      ["date", "today"],
      ["set-cookie", "a=b"],
      ["x-request-id", "chatcmpl-1"],
      ["x-tierline-tier", "forged"],
      ["access-control-allow-origin", "*"],
      ["endpoint-load-metrics", "JSON {}"],
    ]);
    expect([...headers.keys()].sort()).toEqual(["content-type", "x-engine"]);
    expect(headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
  });

  test("keeps a header that comes twice", () => {
    expect(
      relayed([
        ["x-a", "1"],
        ["x-a", "2"],
      ]).get("x-a"),
    ).toBe("1, 2");
  });
});

describe("readCacheControl", () => {
  test.each([
    [null, undefined],
    ["", undefined],
    ["max-age=0", undefined],
    ["no-cache", "no-cache"],
    ["No-Store", "no-store"],
    ["max-age=0, no-cache", "no-cache"],
    ["no-cache,no-store", "no-store"],
    ['no-cache="set-cookie"', "no-cache"],
    ["no-storecloset", undefined],
  ] as const)("of %p is %p", (value, expected) => {
    expect(readCacheControl(value)).toBe(expected);
  });
});
