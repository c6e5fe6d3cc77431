// Requests as a broken or malicious client writes them, byte for byte, and what may become of each. Whatever it is, no
// byte of it may be taken for another request: the words `smuggled` in them must never be answered nor reach an engine.

import { messages } from "./chat.ts";

/**
 * `refused`: an answer of 400 or more, and no engine hears of it. `served`: 2xx, and the engine sees it once, as it was
 * meant. `answered`: 2xx by the router itself. `closed`: the connection ends without a byte. `waits`: nothing yet, since
 * the router has not got the whole of it. `judged`: an engine sees it once and refuses it itself. `cut`: closed, with an
 * answer of 400 or none, and whatever an engine sees of it is what was meant.
 */
export type Verdict = "refused" | "served" | "judged" | "answered" | "closed" | "cut" | "waits";

export interface HostileRequest {
  readonly title: string;
  /** Latin1: one character is one byte. */
  readonly bytes: string;
  /** One of them. */
  readonly verdicts: readonly Verdict[];
}

/** The caller's own body, which an engine may see and nothing else. */
export const innocentBody = JSON.stringify({ model: "gold", messages, max_tokens: 1 });
const length = innocentBody.length;

const smuggledBody = JSON.stringify({ model: "gold", messages, max_tokens: 1, user: "smuggled" });
/** Two requests that must stay bytes of a body: one for the router, one for an engine. */
const smuggledGet = "GET /smuggled HTTP/1.1\r\nhost: a\r\nx-request-id: smuggled\r\n\r\n";
const smuggledPost = `POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nx-request-id: smuggled\r\ncontent-length: ${smuggledBody.length}\r\n\r\n${smuggledBody}`;

const chatLine = "POST /v1/chat/completions HTTP/1.1";
const request = (line: string, headers: readonly string[], body = ""): string =>
  `${[line, ...headers].join("\r\n")}\r\n\r\n${body}`;
const post = (headers: readonly string[], body = innocentBody): string =>
  request(chatLine, ["host: a", ...headers], body);
const whole = (...headers: readonly string[]): string => post([...headers, `content-length: ${length}`]);
const get = (target: string, ...headers: readonly string[]): string =>
  request(`GET ${target} HTTP/1.1`, ["host: a", ...headers]);
const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
const chunked = (framed: string): string => post(["transfer-encoding: chunked"], framed);
const json = (text: string): string => post([`content-length: ${Buffer.byteLength(text, "latin1")}`], text);
/** A JSON text in UTF-8, as latin1. */
const utf8 = (text: string): string => Buffer.from(text).toString("latin1");
const chatWith = (member: string): string =>
  json(utf8(`{"model":"gold","max_tokens":1,"messages":${JSON.stringify(messages)},${member}}`));

const rows = (
  verdicts: readonly Verdict[],
  cases: readonly (readonly [title: string, bytes: string])[],
): HostileRequest[] => cases.map(([title, bytes]) => ({ title, bytes, verdicts }));

const no: readonly Verdict[] = ["refused", "closed"];

const bothLengths: readonly (readonly [string, string])[] = [
  ["chunked", "transfer-encoding: chunked"],
  ["chunked before a space and the colon", "transfer-encoding : chunked"],
  ["chunked behind a tab", "transfer-encoding:\tchunked"],
  ["chunked in capitals", "TRANSFER-ENCODING: CHUNKED"],
  ["chunked with a space behind it", "transfer-encoding: chunked "],
  ["chunked in a folded line", "transfer-encoding:\r\n chunked"],
  ["chunked behind a vertical tab", "transfer-encoding: \x0bchunked"],
  ["chunked with a NUL", "transfer-encoding: chunked\0"],
  ["xchunked", "transfer-encoding: xchunked"],
  ["identity", "transfer-encoding: identity"],
  ["chunked, identity", "transfer-encoding: chunked, identity"],
  ["identity, chunked", "transfer-encoding: identity, chunked"],
  ["gzip, chunked", "transfer-encoding: gzip, chunked"],
  ["chunked twice in a line", "transfer-encoding: chunked, chunked"],
  ["chunked twice in two lines", "transfer-encoding: chunked\r\ntransfer-encoding: chunked"],
  ["chunked and an unknown coding in two lines", "transfer-encoding: chunked\r\ntransfer-encoding: cow"],
  ["chunked in quotes", 'transfer-encoding: "chunked"'],
  ["chunked with a parameter", "transfer-encoding: chunked;q=1"],
  ["an empty coding", "transfer-encoding:"],
  ["a comma for a coding", "transfer-encoding: ,"],
  ["chunked behind a bare CR", "x: y\rtransfer-encoding: chunked"],
  ["chunked behind a bare LF", "x: y\ntransfer-encoding: chunked"],
];

const framings: readonly HostileRequest[] = [
  ...bothLengths.flatMap(([what, line]) =>
    rows(no, [
      // CL.TE: by its length the request ends behind the smuggled one, by its chunks before it.
      [
        `CL.TE with ${what}`,
        post([line, `content-length: ${5 + smuggledGet.length}`], `0\r\n\r\n${smuggledGet}`),
      ],
      // TE.CL: by its length it ends before the smuggled one, by its chunks behind it.
      [`TE.CL with ${what}`, post(["content-length: 4", line], `${chunk(smuggledPost)}0\r\n\r\n`)],
    ]),
  ),
  ...rows(no, [
    ["two lengths", post([`content-length: ${length}`, "content-length: 0"], innocentBody + smuggledGet)],
    ["a length that is a list", post([`content-length: ${length}, ${length}`])],
    ["a length that is a list of two", post([`content-length: 0, ${length}`])],
    ["a negative length", post(["content-length: -1"])],
    ["a length with a plus", post([`content-length: +${length}`])],
    ["a length in hex", post([`content-length: 0x${length.toString(16)}`])],
    ["a length with a fraction", post([`content-length: ${length}.0`])],
    ["a length with an exponent", post(["content-length: 1e2"])],
    [
      "a length with a space inside",
      post([`content-length: ${String(length)[0]} ${String(length).slice(1)}`]),
    ],
    ["an empty length", post(["content-length:"])],
    ["a length beyond 2^64", post([`content-length: ${2n ** 64n + BigInt(length)}`])],
    ["a length of 2^63", post([`content-length: ${2n ** 63n}`])],
    ["a length of a thousand digits", post([`content-length: ${"9".repeat(1000)}`])],
    ["a length with a letter", post([`content-length: ${length}a`])],
    ["a length before a space and the colon", post([`content-length : ${length}`])],
    [
      "chunks on HTTP/1.0",
      request(
        "POST /v1/chat/completions HTTP/1.0",
        ["host: a", "transfer-encoding: chunked"],
        `${chunk(innocentBody)}0\r\n\r\n`,
      ),
    ],
    ["a chunk size that is negative", chunked(`-1\r\n${innocentBody}\r\n0\r\n\r\n`)],
    ["a chunk size with 0x", chunked(`0x${length.toString(16)}\r\n${innocentBody}\r\n0\r\n\r\n`)],
    [
      "a chunk size beyond 2^64",
      chunked(`1${"0".repeat(15)}${length.toString(16)}\r\n${innocentBody}\r\n0\r\n\r\n`),
    ],
    ["a chunk size of a hundred digits", chunked(`${"f".repeat(100)}\r\n${innocentBody}\r\n0\r\n\r\n`)],
    ["a chunk size that is no number", chunked(`xyz\r\n${innocentBody}\r\n0\r\n\r\n`)],
    ["a chunk size with a space before it", chunked(` ${chunk(innocentBody)}0\r\n\r\n`)],
    ["a chunk size with an underscore", chunked(`1_0\r\n${innocentBody}\r\n0\r\n\r\n`)],
    [
      "a chunk size line that ends in a bare LF",
      chunked(`${length.toString(16)}\n${innocentBody}\r\n0\r\n\r\n`),
    ],
    ["a chunk that ends in a bare LF", chunked(`${length.toString(16)}\r\n${innocentBody}\n0\r\n\r\n`)],
    ["a chunk longer than its size", chunked(`${(length - 1).toString(16)}\r\n${innocentBody}\r\n0\r\n\r\n`)],
    ["an empty line in place of a chunk", chunked(`\r\n${chunk(innocentBody)}0\r\n\r\n`)],
    ["a chunk extension with a bare LF before a request", chunked(`2;x\n${smuggledGet}`)],
    [
      "a chunk extension of 64 KB",
      chunked(`${length.toString(16)};x=${"y".repeat(65_536)}\r\n${innocentBody}\r\n0\r\n\r\n`),
    ],
  ]),
  ...rows(
    ["served", "refused", "closed"],
    [
      ["chunks", chunked(`${chunk(innocentBody)}0\r\n\r\n`)],
      [
        "chunks with capital digits and leading zeros",
        chunked(`000${length.toString(16).toUpperCase()}\r\n${innocentBody}\r\n0\r\n\r\n`),
      ],
      [
        "a chunk with a short extension",
        chunked(`${length.toString(16)};a=b\r\n${innocentBody}\r\n0\r\n\r\n`),
      ],
      ["two equal lengths", post([`content-length: ${length}`, `content-length: ${length}`])],
      ["a length with zeros before it", post([`content-length: 000${length}`])],
      ["a length and spaces around it", post([`content-length: \t ${length} \t`])],
    ],
  ),
  ...rows(
    ["waits"],
    [
      ["a body shorter than its length", post([`content-length: ${length + 10}`])],
      ["chunks without the last one", chunked(chunk(innocentBody))],
      ["a length and no body", post([`content-length: ${length}`], "")],
    ],
  ),
];

const lines: readonly HostileRequest[] = [
  ...rows(no, [
    ["HTTP/0.9", "GET /v1/models\r\n\r\n"],
    ["HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"],
    ["a TLS hello", `\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03${"\0".repeat(160)}`],
    ["HTTP/3.7", request("GET /v1/models HTTP/3.7", ["host: a"])],
    ["HTTP/1.10", request("GET /v1/models HTTP/1.10", ["host: a"])],
    ["a version in lower case", request("GET /v1/models http/1.1", ["host: a"])],
    ["no version", request("GET /v1/models ", ["host: a"])],
    ["two spaces in the request line", request("GET  /v1/models  HTTP/1.1", ["host: a"])],
    ["a tab in the request line", request("GET\t/v1/models\tHTTP/1.1", ["host: a"])],
    ["a target with a space", request("GET /v1/models x HTTP/1.1", ["host: a"])],
    ["a target with a NUL", request("GET /v1/mod\0els HTTP/1.1", ["host: a"])],
    ["a method with a NUL", request("GE\0T /v1/models HTTP/1.1", ["host: a"])],
    ["a line of 100 KB", get(`/${"a".repeat(100_000)}`)],
    ["CONNECT", request("CONNECT evil.example:443 HTTP/1.1", ["host: a"])],
    ["TRACE", request("TRACE /v1/models HTTP/1.1", ["host: a"])],
    ["CONNECT with a path", request("CONNECT /livez HTTP/1.1", ["host: a"])],
    ["the authority form", request("GET evil.example:80 HTTP/1.1", ["host: a"])],
    ["the asterisk form", request("OPTIONS * HTTP/1.1", ["host: a"])],
    ["a method that nobody has", request("SMUGGLE /v1/models HTTP/1.1", ["host: a"])],
    ["no Host", request("GET /livez HTTP/1.1", [])],
    ["two Hosts", request("GET /livez HTTP/1.1", ["host: a", "host: b"])],
    ["two equal Hosts", request("GET /livez HTTP/1.1", ["host: a", "host: a"])],
    ["a Host that is a list", request("GET /livez HTTP/1.1", ["host: a, b"])],
    ["a Host with a user", request("GET /livez HTTP/1.1", ["host: a@evil.example"])],
    ["a Host with a path", request("GET /livez HTTP/1.1", ["host: a/v1/models"])],
    ["a Host with a query", request("GET /livez HTTP/1.1", ["host: a?b"])],
    ["a Host with a space", request("GET /livez HTTP/1.1", ["host: a b"])],
    ["a Host with two ports", request("GET /v1/jobs HTTP/1.1", ["host: a:1:2"])],
    ["a Host that is half a bracket", request("GET /v1/jobs HTTP/1.1", ["host: [zz"])],
    ["a Host with a percent sign", request("GET /v1/jobs HTTP/1.1", ["host: %zz"])],
    ["a Host beyond ASCII", request("GET /livez HTTP/1.1", ["host: \xff"])],
    ["a Host with a backslash", request("GET /livez HTTP/1.1", ["host: a\\b"])],
    ["a folded line", whole("x: y\r\n z: smuggled")],
    [
      "a folded line at the start",
      request(chatLine, [" host: a", `content-length: ${length}`], innocentBody),
    ],
    ["a space before the colon", whole("x : y")],
    ["a tab before the colon", whole("x\t: y")],
    ["a line without a colon", whole("nonsense")],
    ["a line without a name", whole(": y")],
    ["a name with a space", whole("a b: y")],
    ["a name with a NUL", whole("a\0b: y")],
    ["a name with brackets", whole("a(b): y")],
    ["a name beyond ASCII", whole("n\xe4me: y")],
    ["a value with a NUL", whole("x: a\0b")],
    ["a value with a bare CR", whole("x: a\rb")],
    ["a value with a bare CR before a header", whole("x: a\rx-request-id: smuggled")],
    ["lines that end in bare LF", `${chatLine}\nhost: a\ncontent-length: ${length}\n\n${innocentBody}`],
    [
      "a bare LF for the empty line",
      `${chatLine}\r\nhost: a\r\ncontent-length: ${length}\r\n\n${innocentBody}`,
    ],
    ["10,000 headers", whole(...Array.from({ length: 10_000 }, (_, index) => `x-${index}: y`))],
    ["a header of 1 MB", whole(`x: ${"y".repeat(2 ** 20)}`)],
    ["a name of 100 KB", whole(`${"x".repeat(100_000)}: y`)],
    ["an unknown expectation", whole("expect: magic")],
    ["an expectation with more behind it", whole("expect: 100-continue, magic")],
    ["a request without a body", request(chatLine, ["host: a"])],
    [
      "a protocol upgrade at the socket's path that is no socket",
      get(
        "/v1/npc/stream",
        "connection: upgrade",
        "upgrade: h2c",
        "http2-settings: AAMAAABkAARAAAAAAAIAAAAA",
      ),
    ],
  ]),
  ...rows(
    ["answered", "refused"],
    [
      ["the absolute form, another host", request("GET http://evil.example/v1/models HTTP/1.1", ["host: a"])],
      [
        "the absolute form of a cloud's metadata",
        request("GET http://169.254.169.254/latest/meta-data HTTP/1.1", ["host: 169.254.169.254"]),
      ],
      [
        "a Host that is the cloud's metadata service",
        request("GET /v1/models HTTP/1.1", ["host: 169.254.169.254"]),
      ],
      ["HTTP/1.0 without a Host, as load balancers ask", "GET /readyz HTTP/1.0\r\n\r\n"],
      ["HTTP/1.0 without a Host and a path in a path", "GET /xxx/livez HTTP/1.0\r\n\r\n"],
      ["HTTP/1.0 that asks to be kept", "GET /livez HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n"],
      [
        "a Host that is no address, with a query",
        get("/v1/jobs?limit=1").replace("host: a", "host: 999.1.1.1.1"),
      ],
      ["a list of jobs without a Host", "GET /v1/jobs?limit=1 HTTP/1.0\r\n\r\n"],
      ["an empty Host", request("GET /livez HTTP/1.1", ["host:"])],
      ["a Host in brackets", request("GET /livez HTTP/1.1", ["host: [::1]:8010"])],
      ["a Host with a port beyond all", request("GET /livez HTTP/1.1", ["host: a:99999999"])],
      [
        "an upgrade to h2c",
        get(
          "/v1/models",
          "connection: upgrade, http2-settings",
          "upgrade: h2c",
          "http2-settings: AAMAAABkAARAAAAAAAIAAAAA",
        ),
      ],
      ["an empty line before the request", `\r\n${get("/v1/models")}`],
      [
        "a body with a GET",
        request("GET /v1/models HTTP/1.1", ["host: a", `content-length: ${smuggledGet.length}`], smuggledGet),
      ],
      [
        "a chunked body with a GET",
        request(
          "GET /v1/models HTTP/1.1",
          ["host: a", "transfer-encoding: chunked"],
          `${chunk(smuggledGet)}0\r\n\r\n`,
        ),
      ],
      [
        "a body with a HEAD",
        request(
          "HEAD /v1/models HTTP/1.1",
          ["host: a", `content-length: ${smuggledGet.length}`],
          smuggledGet,
        ),
      ],
      [
        "a body with OPTIONS",
        request(
          "OPTIONS /v1/models HTTP/1.1",
          ["host: a", `content-length: ${smuggledGet.length}`],
          smuggledGet,
        ),
      ],
      [
        "a body where there is nothing",
        request("POST /nothing HTTP/1.1", ["host: a", `content-length: ${smuggledGet.length}`], smuggledGet),
      ],
      [
        "a body where no body is read",
        request(
          "POST /v1/models HTTP/1.1",
          ["host: a", `content-length: ${smuggledGet.length}`],
          smuggledGet,
        ),
      ],
      [
        "a body at the socket's path",
        request(
          "GET /v1/npc/stream HTTP/1.1",
          ["host: a", `content-length: ${smuggledGet.length}`],
          smuggledGet,
        ),
      ],
      [
        "a socket's handshake with a request in its body",
        request(
          "GET /v1/npc/stream HTTP/1.1",
          [
            "host: a",
            "connection: upgrade",
            "upgrade: websocket",
            "sec-websocket-version: 99",
            "sec-websocket-key: x",
            `content-length: ${smuggledGet.length}`,
          ],
          smuggledGet,
        ),
      ],
    ],
  ),
  ...rows(
    ["served", "refused", "closed"],
    [
      ["a value with control bytes", whole("x: a\x01\x7fb")],
      ["a value beyond ASCII", whole("x: \xff\xfe")],
      ["100-continue", whole("expect: 100-continue")],
      ["100 headers", whole(...Array.from({ length: 100 }, (_, index) => `x-${index}: y`))],
      [
        "a connection header that names ours",
        whole("connection: host, content-length, content-type, x-request-id, traceparent, keep-alive"),
      ],
      ["te: trailers", whole("te: trailers", "connection: te")],
    ],
  ),
  ...rows(
    ["waits", "closed", "refused"],
    [
      ["a head without its end", "GET /v1/models HTTP/1.1\r\nhost: a\r\nx: "],
      ["half a request line", "GET /v1/mo"],
    ],
  ),
  // Bun.serve closes on these when the request is whole, and may have handed it on.
  ...rows(
    ["cut"],
    [
      ["a last chunk with bytes behind it", chunked(`${chunk(innocentBody)}0\r\nXX\r\n\r\n`)],
      ["two requests at once, the first for an engine", whole() + smuggledGet],
      ["a trailer", chunked(`${chunk(innocentBody)}0\r\nx-checksum: 7\r\n\r\n`)],
      ["two requests at once, both for an engine", whole() + smuggledPost],
      [
        "trailers that are fields of the head",
        chunked(
          `${chunk(innocentBody)}0\r\ncontent-length: 5\r\nhost: b\r\nauthorization: Bearer x\r\ntransfer-encoding: chunked\r\n\r\n`,
        ),
      ],
    ],
  ),
];

const targets = [
  "/v1/../api/fleet",
  "/v1/../../api/fleet",
  "/v1/%2e%2e/api/fleet",
  "/v1/%2E%2E/%2e%2e/api/fleet",
  "/v1/..%2fapi/fleet",
  "/v1/..%5capi/fleet",
  "/v1/..;/api/fleet",
  "/v1/models/../../api/fleet",
  "/api/fleet",
  "//api/fleet",
  "/./api/fleet",
  "/\\api/fleet",
  "\\api\\fleet",
  "/API/fleet",
  "/api/fleet%00",
  "/%61pi/fleet",
  "/%2561pi/fleet",
  "/api%2ffleet",
  "/api/fleet/",
  "/api/fleet?x=/v1/models",
  "/api/fleet#/v1/models",
  "/v1/models/..%00/api/fleet",
  "/v1/models/%c0%ae%c0%ae/api/fleet",
  "/v1/models/%",
  "/v1/models/%zz",
  "/v1/models/%ff",
  "/v1/models/\xff\xfe",
  "/v1/models/__proto__",
  "/v1/models/constructor",
  "/v1/jobs/../../api/fleet",
  "/v1/jobs/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
  "/v1/jobs/job_a/../../b_01JZZZZZZZ0123456789ABCDEF",
  "/ui",
  "/gossip",
  "/api/drain",
  "/api/config",
  "/etc/passwd",
  "/../../../../etc/passwd",
  "/%2e%2e/%2e%2e/etc/passwd",
  "/.env",
  "/v1/chat/completions/../../../api/fleet",
] as const;

const paths: readonly HostileRequest[] = [
  ...targets.map(
    (target): HostileRequest => ({
      title: `the target ${Bun.inspect(target)}`,
      bytes: get(target),
      verdicts: no,
    }),
  ),
  ...[
    "x-original-url: /api/fleet",
    "x-rewrite-url: /api/fleet",
    "x-forwarded-prefix: /api",
    "x-forwarded-host: evil.example",
    "forwarded: host=evil.example;proto=https",
    "x-http-method-override: DELETE",
    "x-method-override: PUT",
    "x-forwarded-for: 127.0.0.1",
    "x-real-ip: 127.0.0.1",
  ].map(
    (header): HostileRequest => ({
      title: `${header} where there is nothing`,
      bytes: get("/api/fleet", header),
      verdicts: no,
    }),
  ),
  ...[
    "POST /api/drain",
    "POST /api/cache/clear",
    "DELETE /v1/models",
    "PUT /v1/chat/completions",
    "GET /v1/chat/completions",
    "PATCH /v1/npc/intents",
  ].map(
    (line): HostileRequest => ({
      title: line,
      bytes: request(
        `${line} HTTP/1.1`,
        ["host: a", "content-type: application/json", "content-length: 2"],
        "{}",
      ),
      verdicts: no,
    }),
  ),
];

const reflected: readonly HostileRequest[] = [
  ...[
    ["x-forwarded-host", "evil.example"],
    ["forwarded", "for=127.0.0.1;host=169.254.169.254"],
    ["x-original-url", "/api/drain"],
    ["x-rewrite-url", "/v1/models"],
    ["x-http-method-override", "DELETE"],
    ["x-request-id", "a%0d%0aset-cookie:x"],
    ["x-request-id", "a".repeat(5000)],
    ["x-request-id", "\xff\xff"],
    ["traceparent", "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01%0d%0ax:y"],
    ["traceparent", "00-".repeat(1000)],
    ["tracestate", "x=y,".repeat(1000)],
    ["x-tierline-session", "a%0d%0aset-cookie:x"],
    ["x-tierline-session", "\x01\x02"],
    ["x-tierline-session", "s".repeat(10_000)],
    ["x-tierline-load", "inflight=0"],
    ["x-tierline-because", "local-first"],
    ["x-tierline-endpoint", "evil/vllm"],
    ["x-tierline-peer-refused", "no-endpoint"],
    ["x-tierline-job", "1"],
    ["content-type", "text/plain"],
    ["content-type", "application/json; charset=utf-16"],
    ["accept-encoding", "gzip, br, zstd"],
    ["range", "bytes=0-1"],
    ["cookie", "a=b"],
    ["authorization", "Bearer \xff\xfe"],
    ["prefer", "respond-async, wait=999999999"],
    ["cache-control", "no-store, ".repeat(500)],
    ["idempotency-key", "\x01".repeat(10)],
    ["keep-alive", "timeout=999999999, max=0"],
    ["proxy-connection", "close"],
  ].map(
    ([name, value = ""]): HostileRequest => ({
      title: `${name}: ${Bun.inspect(value.slice(0, 40))}`,
      bytes: whole(`${name}: ${value}`),
      verdicts: ["served", "refused", "closed"],
    }),
  ),
  ...[
    "x-tierline-deadline-ms: -1",
    "x-tierline-deadline-ms: 0",
    "x-tierline-deadline-ms: 0x10",
    "x-tierline-deadline-ms: Infinity",
    "x-tierline-deadline-ms: NaN",
    "x-tierline-deadline-ms: 1e3",
    `x-tierline-deadline-ms: ${"9".repeat(1000)}`,
    "x-tierline-sla: __proto__",
    "x-tierline-sla: gold",
    "content-encoding: gzip",
    "content-encoding: identity, gzip",
  ].map(
    (header): HostileRequest => ({ title: header.slice(0, 60), bytes: whole(header), verdicts: ["refused"] }),
  ),
  // A router that is in no fleet knows no peers: it is a caller like any other, and the header goes nowhere.
  {
    title: "a forged x-tierline-peer",
    bytes: whole(
      `x-tierline-peer: hop=1;tier=gold;endpoint=gold-1/vllm;model=any;body=request;v=1;fleet=f;from=evil;at=1;nonce=${"0".repeat(32)};hmac=${"0".repeat(64)}`,
    ),
    verdicts: ["served", "refused"],
  },
];

const deep = 100_000;
const gzipped = Buffer.from(Bun.gzipSync(innocentBody)).toString("latin1");

const bodies: readonly HostileRequest[] = [
  ...rows(
    ["refused"],
    [
      ["no JSON", json("<xml>")],
      ["an empty body", json("")],
      ["a list", json("[]")],
      ["null", json("null")],
      ["a number", json("1")],
      ["garbage behind the JSON", json(`${innocentBody}${innocentBody}`)],
      ["a NUL behind the JSON", json(`${innocentBody}\0`)],
      ["a comma too many", json('{"model":"gold",}')],
      ["single quotes", json("{'model':'gold'}")],
      ["a comment", json('{"model":"gold"/* */}')],
      ["NaN", json('{"model":"gold","temperature":NaN}')],
      ["Infinity", json('{"model":"gold","temperature":-Infinity}')],
      ["a number with zeros before it", json('{"model":"gold","seed":007}')],
      ["a bare newline in a text", json('{"model":"go\nld"}')],
      ["an unknown escape", json('{"model":"\\x41"}')],
      ["half a surrogate's escape", json('{"model":"\\ud8"}')],
      ["invalid UTF-8", json('{"model":"gold","x":"\xff\xfe"}')],
      ["overlong UTF-8", json('{"model":"gold","x":"\xc0\xaf"}')],
      ["a surrogate in UTF-8", json('{"model":"gold","x":"\xed\xa0\x80"}')],
      ["UTF-16 with its mark", json(Buffer.from(`\ufeff${innocentBody}`, "utf16le").toString("latin1"))],
      ["UTF-16 without it", json(Buffer.from(innocentBody, "utf16le").toString("latin1"))],
      ["UTF-32", json([...innocentBody].map((each) => `${each}\0\0\0`).join(""))],
      [`lists ${deep} deep`, json(`{"model":"gold","x":${"[".repeat(deep)}${"]".repeat(deep)}}`)],
      [`objects ${deep} deep`, json(`{"model":"gold","x":${'{"a":'.repeat(deep)}1${"}".repeat(deep)}}`)],
      [`${deep} brackets that never close`, json("[".repeat(deep))],
      ["a model that is a number", json('{"model":7}')],
      ["a model that is a list", json('{"model":["gold"]}')],
      ["a model that is null", json('{"model":null}')],
      [
        "a model that nobody serves, with a line end",
        json('{"model":"x\\r\\nset-cookie: a=b\\r\\n\\r\\n<html>"}'),
      ],
      ["a model that is a lone surrogate", json('{"model":"\\ud800"}')],
      ["a model called __proto__", json('{"model":"__proto__"}')],
      ["a model called constructor", json('{"model":"constructor"}')],
      ["a model of 1 MB", json(`{"model":"${"m".repeat(2 ** 20)}"}`)],
      [
        "two models, the last of which nobody serves",
        json(innocentBody.replace('"max_tokens"', '"model":"nobody","max_tokens"')),
      ],
      ["a model that is a path", json('{"model":"../../api/fleet"}')],
      ["a gzipped body", post([`content-length: ${gzipped.length}`], gzipped)],
      [
        "a gzipped body that says so",
        post(["content-encoding: gzip", `content-length: ${gzipped.length}`], gzipped),
      ],
      ["a gzip bomb", post(["content-encoding: gzip", `content-length: ${bomb().length}`], bomb())],
      ["a body over the limit", post([`content-length: ${5_000_000}`], "x".repeat(5_000_000))],
    ],
  ),
  ...rows(
    ["served"],
    [
      ["white space around it", json(` \r\n\t${innocentBody}\r\n`)],
      [
        "two models, the last of which counts",
        json(innocentBody.replace('"model"', '"model":"nobody","model"')),
      ],
      [
        "two models, the last one in escapes",
        json(innocentBody.replace('"model"', '"model":"nobody","m\\u006fdel"')),
      ],
      ["a member called __proto__", chatWith('"__proto__":{"model":"nothing","stream":true}')],
      ["a member called constructor", chatWith('"constructor":{"prototype":{"stream":true}}')],
      ["a number of 1e400", chatWith('"x":1e400')],
      ["minus zero", chatWith('"x":-0')],
      ["a whole number beyond 2^64", chatWith('"seed":184467440737095516150')],
      ["lone surrogates", chatWith('"user":"\\ud800 \\udc00"')],
      ["NULs as escapes", chatWith('"user":"\\u0000\\u0000"')],
      ["a text of 3 MB", chatWith(`"x":"${"y".repeat(3_000_000)}"`)],
      ["100,000 members", chatWith(Array.from({ length: 100_000 }, (_, index) => `"k${index}":0`).join(","))],
      [
        "a hundred thousand times the same member",
        chatWith(Array.from({ length: 100_000 }, () => '"k":0').join(",")),
      ],
      ["lists nested 100 deep", chatWith(`"x":${"[".repeat(100)}${"]".repeat(100)}`)],
    ],
  ),
];

/** What engines differ about is theirs. */
const judged = rows(["judged", "served"], [["a byte order mark", json(`\xef\xbb\xbf${innocentBody}`)]]);

function bomb(): string {
  return Buffer.from(Bun.gzipSync(Buffer.alloc(20_000_000, 0x20))).toString("latin1");
}

export const hostileRequests: readonly HostileRequest[] = [
  ...framings,
  ...lines,
  ...paths,
  ...reflected,
  ...bodies,
  ...judged,
];
