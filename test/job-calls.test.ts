// What one router asks another about jobs, over real sockets to a router that is scripted: every way to get no answer is a
// value, and nothing is left open.

import { describe, expect, test } from "bun:test";
import { systemClock } from "../src/base/clock.ts";
import { Departure } from "../src/base/departure.ts";
import { peerHeader, peerRefusedHeader } from "../src/host/forwarded.ts";
import { answeredHere, createJobCallSeals } from "../src/host/job-call.ts";
import type { JobCalls, MemberAsk, MemberFacts } from "../src/http/door.ts";
import { createJobCalls } from "../src/job-calls.ts";
import { advertWith } from "./support/adverts.ts";
import { cleanup } from "./support/cleanup.ts";
import { clockOffBy } from "./support/gossip-host.ts";
import type { RawConnection } from "./support/raw-server.ts";
import { startRawServer } from "./support/raw-server.ts";
import { sealing } from "./support/seals.ts";
import { virtualClock } from "./support/virtual-clock.ts";
import { until } from "./wire/reading.ts";

const ends = cleanup();
const sealsOf = (name: string, offMs = 0) => createJobCallSeals(sealing(clockOffBy(offMs), { name }));

const said = (status: number, body = "{}", headers = `${peerHeader}: ${answeredHere}\r\n`): string =>
  `HTTP/1.1 ${status} Said\r\n${headers}content-length: ${body.length}\r\n\r\n${body}`;

type Instead = (connection: RawConnection, count: number) => void;

/** `instead`: what is done in the place of an answer, to the requests whose seal is good. */
function scene(instead: Instead = (connection) => connection.write(said(200)), offMs = 0) {
  const receiver = sealsOf("gold-2", offMs);
  const lines: string[] = [];
  const heads: string[] = [];
  const server = ends(
    startRawServer(async (connection) => {
      for (let request = await connection.request(); request; request = await connection.request()) {
        const header = new RegExp(`^${peerHeader}: (.*)$`, "im").exec(request.head)?.[1]?.trim() ?? "";
        const line = request.line.replace(/ HTTP.*/, "");
        const opened = receiver.open(line, header);
        if ("refused" in opened) {
          const clock = opened.clock === undefined ? "" : `${peerHeader}: ${opened.clock}\r\n`;
          const status = opened.refused === "stale" ? 401 : 403;
          connection.write(said(status, "{}", `${peerRefusedHeader}: ${opened.refused}\r\n${clock}`));
          continue;
        }
        lines.push(`${line} for ${opened.claim.caller} from ${opened.from}`);
        heads.push(request.head + request.body.toString());
        instead(connection, lines.length);
      }
    }),
  );
  const row = (name: string, port: number, more: Partial<MemberFacts> = {}): MemberFacts => ({
    name,
    isSelf: false,
    state: "alive",
    incarnation: 1,
    advert: advertWith([], { public: `http://127.0.0.1:${port}` }),
    ...more,
  });
  const rows = [row("gold-1", 9, { isSelf: true }), row("gold-2", server.port)];
  const calls = ends(createJobCalls({ seals: sealsOf("gold-1"), members: () => rows, clock: systemClock }));
  const ask = (more: Partial<MemberAsk> = {}): ReturnType<JobCalls["ask"]> =>
    calls.ask({
      member: "gold-2",
      method: "GET",
      path: "/v1/jobs/x?wait=1",
      caller: "lobby",
      leftMs: 5_000,
      signal: new Departure(),
      ...more,
    });
  return { calls, ask, rows, row, server, lines, heads };
}

const statusOf = async (asked: ReturnType<JobCalls["ask"]>): Promise<number | string> => {
  const answer = await asked;
  return "unreachable" in answer ? answer.unreachable : answer.status;
};

describe("a question to another router", () => {
  test("is in the caller's name, and brings its answer whatever the status", async () => {
    const { ask, lines, heads } = scene((connection) => connection.write(said(404, '{"a":1}')));
    const answer = await ask({
      method: "POST",
      path: "/v1/jobs",
      body: Buffer.from("{}"),
      headers: [["idempotency-key", "k"]],
    });
    if ("unreachable" in answer) throw new Error(answer.unreachable);
    expect([answer.status, Buffer.from(answer.body).toString()]).toEqual([404, '{"a":1}']);
    expect(lines).toEqual(["POST /v1/jobs for lobby from gold-1"]);
    expect(heads[0]).toContain("idempotency-key: k");
    expect(heads[0]).toEndWith("{}");
  });

  test("by nobody is in nobody's name", async () => {
    const { ask, lines } = scene();
    expect(await statusOf(ask({ caller: undefined }))).toBe(200);
    expect(lines).toEqual(["GET /v1/jobs/x?wait=1 for undefined from gold-1"]);
  });

  test("to a clock that is an hour off is asked once more by that clock, and then at once", async () => {
    const { ask, lines } = scene(undefined, 3_600_000);
    expect([await statusOf(ask()), await statusOf(ask())]).toEqual([200, 200]);
    expect(lines).toHaveLength(2);
  });

  test("on a kept connection that has closed meanwhile is asked once more, on a fresh one", async () => {
    const { ask, lines } = scene((connection, count) => {
      if (count === 2) connection.reset();
      else connection.write(said(200));
    });
    expect([await statusOf(ask()), await statusOf(ask())]).toEqual([200, 200]);
    expect(lines).toHaveLength(3);
  });

  const cases: readonly (readonly [what: string, instead: Instead, why: string])[] = [
    ["of a reset", (connection) => connection.reset(), "connection reset"],
    [
      "of a program that is no router of the fleet",
      (connection) => connection.write(said(200, "{}", "")),
      "it is no router of this fleet",
    ],
    [
      "of a router that turns us away",
      (connection) => connection.write(said(403, "{}", `${peerRefusedHeader}: wrong-fleet\r\n`)),
      "it refuses us: wrong-fleet",
    ],
    [
      "that is cut short",
      (connection) => {
        connection.write(
          `HTTP/1.1 200 OK\r\n${peerHeader}: ${answeredHere}\r\ncontent-length: 9\r\n\r\nhalf`,
        );
        connection.end();
      },
      "answer cut short",
    ],
    [
      "that is longer than any result",
      (connection) => connection.write(said(200, "x".repeat(20 * 1024 * 1024 + 1))),
      "its answer is too long",
    ],
  ];
  for (const [what, instead, why] of cases) {
    test(`gets no answer, but why, in the place ${what}`, async () => {
      const { ask, server } = scene(instead);
      expect(await statusOf(ask())).toBe(why);
      await until(() => server.openCount() <= 1);
    });
  }

  test("that is not answered in its time is given up, and its connection closed", async () => {
    const { ask, server } = scene(() => undefined);
    expect(await statusOf(ask({ leftMs: 100 }))).toBe("no answer in time");
    await until(() => server.openCount() === 0);
  });

  test("whose caller leaves is given up; of one who has left nothing is asked", async () => {
    const { ask, server, lines } = scene(() => undefined);
    const leaving = new Departure();
    const asked = ask({ signal: leaving });
    await until(() => lines.length === 1);
    leaving.abort();
    expect(await statusOf(asked)).toBe("the caller has left");
    await until(() => server.openCount() === 0);
    expect(await statusOf(ask({ signal: leaving }))).toBe("the caller has left");
    expect(lines).toHaveLength(1);
  });
});

describe("who can be asked", () => {
  test("are the members that are there, this router left out", async () => {
    const { calls, rows, row, ask, lines } = scene();
    rows.push(row("gold-3", 9, { state: "suspect" }), row("gold-4", 9, { state: "dead" }));
    rows.push(row("gold-5", 9, { state: "left" }), row("gold-6", 9, { advert: undefined }));
    expect(calls.others()).toEqual(["gold-2", "gold-3"]);
    for (const member of ["gold-1", "gold-4", "gold-5", "gold-6", "gold-9", "../x"]) {
      const why = "it is not among the living hosts of this fleet";
      expect([member, await statusOf(ask({ member }))]).toEqual([member, why]);
    }
    expect(await statusOf(ask({ member: "gold-3" }))).toBe("connection refused");
    expect(lines).toEqual([]);
  });

  test("is not who has died: what is asked of it fails at once, and its connections are closed", async () => {
    const { calls, rows, row, ask, server, lines } = scene(() => undefined);
    const asked = ask({ leftMs: 60_000 });
    await until(() => lines.length === 1);
    rows[1] = row("gold-2", server.port, { state: "dead" });
    calls.membersChanged();
    expect(await statusOf(asked)).toBe("no connection");
    await until(() => server.openCount() === 0);
  });

  test("is whoever has moved, at its new address", async () => {
    const [before, after] = [scene(), scene()];
    expect(await statusOf(before.ask())).toBe(200);
    before.rows[1] = before.row("gold-2", after.server.port);
    expect(await statusOf(before.ask())).toBe(200);
    expect([before.lines.length, after.lines.length]).toEqual([1, 1]);
    await until(() => before.server.openCount() === 0);
  });

  test("those who wait for long, as many as may, take no connection from those who do not", async () => {
    const { ask, lines } = scene((connection, count) => {
      if (lines[count - 1]?.startsWith("POST")) connection.write(said(200));
    });
    const leaving = new Departure();
    const waiting = Array.from({ length: 300 }, () => statusOf(ask({ leftMs: 60_000, signal: leaving })));
    await until(() => lines.length === 256, 10_000);
    expect(await statusOf(ask({ method: "POST" }))).toBe(200);
    leaving.abort();
    const outcomes = await Promise.all(waiting);
    expect(outcomes.filter((why) => why === "the caller has left")).toHaveLength(256);
    expect(outcomes.filter((why) => why === "too many questions to it are under way")).toHaveLength(44);
  });
});

test("a host that gossip has never heard of may exist until this one has run for a minute, and as long as it hears of nobody", async () => {
  const clock = virtualClock();
  const row = (name: string, isSelf: boolean): MemberFacts => ({
    name,
    isSelf,
    state: "dead",
    incarnation: 1,
    advert: undefined,
  });
  const rows = [row("gold-1", true)];
  const calls = ends(createJobCalls({ seals: sealsOf("gold-1"), members: () => rows, clock }));
  const may = () => ["gold-2", "gold-9"].map(calls.mayExist);
  await clock.advance(60_000);
  expect(may()).toEqual([true, true]);
  rows.push(row("gold-2", false));
  expect(may()).toEqual([true, false]);
  const young = ends(createJobCalls({ seals: sealsOf("gold-1"), members: () => rows, clock }));
  await clock.advance(59_999);
  expect(young.mayExist("gold-9")).toBe(true);
  await clock.advance(1);
  expect(young.mayExist("gold-9")).toBe(false);
});
