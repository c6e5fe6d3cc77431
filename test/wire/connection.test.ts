import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Connection } from "../../src/wire/connection.ts";
import { Exchange } from "../../src/wire/exchange.ts";
import { defaultWireLimits } from "../../src/wire/limits.ts";
import { virtualClock } from "../support/virtual-clock.ts";
import { failureOf } from "./reading.ts";

/** A socket that takes so many bytes a write, in turn, and then everything. */
function scriptedSocket(takes: readonly number[]) {
  const written: Buffer[] = [];
  let turn = 0;
  return {
    written: () => Buffer.concat(written),
    terminated: 0,
    write(data: string | NodeJS.TypedArray | DataView | ArrayBufferLike, offset = 0, length = 0): number {
      const take = Math.min(length, takes[turn] ?? length);
      turn += 1;
      if (take > 0 && data instanceof Uint8Array)
        written.push(Buffer.from(data.subarray(offset, offset + take)));
      return take;
    },
    pause() {},
    shutdown() {},
    resume() {},
    end() {
      return 0;
    },
    terminate() {
      this.terminated += 1;
    },
  };
}

function post(body: readonly Uint8Array[], headers: readonly [string, string][] = []): Exchange {
  return new Exchange(
    { method: "POST", path: "/", headers, body },
    "engine",
    defaultWireLimits,
    virtualClock(),
  );
}

describe("a connection", () => {
  test("writes a request byte for byte, whatever the kernel takes at a time and others write between", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat({ max: 20_000 }), { maxLength: 12 }),
        fc.array(fc.nat({ max: 9_000 }), { maxLength: 5 }),
        fc.constantFrom(0, 20_000),
        (takes, sizes, headerBytes) => {
          const body = sizes.map((size, index) => Buffer.alloc(size, index + 65));
          const exchange = post(body, [["x-long", "l".repeat(headerBytes)]]);
          const socket = scriptedSocket(takes);
          const connection = new Connection(socket, false, defaultWireLimits, () => {});
          connection.carry(exchange);
          // Another connection's request goes through the same place meanwhile.
          new Connection(scriptedSocket([]), false, defaultWireLimits, () => {}).carry(
            post([Buffer.alloc(9_000)]),
          );
          for (let drains = 0; drains <= takes.length; drains += 1) connection.writable();
          expect(socket.written().equals(Buffer.concat([Buffer.from(exchange.head), ...body]))).toBe(true);
        },
      ),
    );
  });

  test("has sent nothing while the kernel has taken nothing, and something from the first byte on", () => {
    const exchange = post([Buffer.from("body")]);
    const connection = new Connection(scriptedSocket([0, 0, 1]), false, defaultWireLimits, () => {});
    connection.carry(exchange);
    connection.writable();
    expect(exchange.sent).toBe(false);
    connection.writable();
    expect(exchange.sent).toBe(true);
  });

  test("fails the request as reset, nothing sent, where the socket is already gone", async () => {
    const exchange = post([]);
    const socket = scriptedSocket([-1]);
    new Connection(socket, false, defaultWireLimits, () => {}).carry(exchange);
    expect(await failureOf(exchange.response)).toMatchObject({ code: "reset", sent: false });
    expect(socket.terminated).toBe(1);
  });
});
