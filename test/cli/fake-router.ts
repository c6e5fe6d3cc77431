// Admin listeners that answer from a script, for commands that talk to a router.

import { afterEach } from "bun:test";

export interface Answer {
  readonly status?: number;
  readonly body: unknown;
}

export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | null;
  readonly type: string | null;
  readonly body: string;
}

/** By the path that is asked for. */
type Answers = Answer | ((path: string) => Answer);

/** Call once at the top of a test file. The last answer of the script is given again and again. */
export function fakeRouters() {
  let open: { stop(now: boolean): unknown }[] = [];
  afterEach(() => {
    for (const server of open) void server.stop(true);
    open = [];
  });
  return (...answers: Answers[]) => {
    const seen: Seen[] = [];
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      async fetch(request) {
        const { pathname, search } = new URL(request.url);
        const { headers, method } = request;
        seen.push({
          method,
          path: pathname + search,
          authorization: headers.get("authorization"),
          type: headers.get("content-type"),
          body: await request.text(),
        });
        const next = answers[Math.min(seen.length, answers.length) - 1];
        const answer = typeof next === "function" ? next(pathname) : next;
        return Response.json(answer?.body, { status: answer?.status ?? 200 });
      },
    });
    open.push(server);
    return { url: `http://127.0.0.1:${server.port}`, port: server.port, seen };
  };
}
