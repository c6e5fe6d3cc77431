import { describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { pathOf, queryOf } from "../../src/http/target.ts";
import { cleanup } from "../support/cleanup.ts";

const ends = cleanup();

const rows: readonly (readonly [title: string, request: string, path: string, limit: string | null])[] = [
  ["with a host", "GET /v1/jobs?limit=3 HTTP/1.1\r\nhost: a\r\n\r\n", "/v1/jobs", "3"],
  ["without a host", "GET /v1/jobs?limit=3 HTTP/1.0\r\n\r\n", "/v1/jobs", "3"],
  ["with an empty host", "GET /livez HTTP/1.1\r\nhost:\r\nconnection: close\r\n\r\n", "/livez", null],
  ["with a path in its path and no host", "GET /x/livez HTTP/1.0\r\n\r\n", "/x/livez", null],
  ["with a host that no URL may have", "GET /v1/jobs?limit=3 HTTP/1.1\r\nhost: [zz\r\n\r\n", "/v1/jobs", "3"],
  ["with a port that no URL may have", "GET /livez?limit HTTP/1.1\r\nhost: a:1:2\r\n\r\n", "/livez", ""],
];

describe("the path and the query of a request", () => {
  for (const [title, request, path, limit] of rows) {
    test(`${title} are those that were sent`, async () => {
      const seen = Promise.withResolvers<[string, string | null]>();
      const server = Bun.serve({
        hostname: "127.0.0.1",
        port: 0,
        fetch(asked) {
          seen.resolve([pathOf(asked), queryOf(asked).get("limit")]);
          return new Response(null, { headers: { connection: "close" } });
        },
      });
      ends({ stop: () => server.stop(true) });
      const socket = connect(server.port ?? 0, "127.0.0.1", () => socket.write(request));
      ends({ stop: () => socket.destroy() });
      expect(await seen.promise).toEqual([path, limit]);
    });
  }
});
