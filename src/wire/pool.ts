// The connections to one endpoint: which are idle, who waits for one, how many there may be.

import type { Clock } from "../base/clock.ts";
import type { Connection } from "./connection.ts";
import type { Dialler } from "./dial.ts";
import type { Exchange } from "./exchange.ts";
import type { WireLimits } from "./limits.ts";

export interface PoolCounts {
  /** Established connections, idle ones included. */
  readonly open: number;
  readonly idle: number;
  /** Connects in the air, those included that nobody waits for any more. */
  readonly pending: number;
  /** Requests without a connection. */
  readonly waiting: number;
}

export interface Pool {
  /** Gives the exchange to a connection, now or later, or lets it fail. */
  carry(exchange: Exchange): void;
  counts(): PoolCounts;
  close(): void;
  /** The same, where the other end is gone: what was under way has failed. */
  abandon(why: string): void;
}

interface Waiter {
  readonly exchange: Exchange;
  readonly stopTimer: () => void;
}

/** `diallerOf` returns the function that dials once and tells its argument how that went. */
export function createPool(diallerOf: (told: Dialler) => () => void, clock: Clock, limits: WireLimits): Pool {
  const open = new Set<Connection>();
  /** Longest idle first; the last one is taken first, so that the others age and are closed. */
  const idle: Connection[] = [];
  /** In the order they came. A connection belongs to nobody until it is open, then to the first of these. */
  const waiting: Waiter[] = [];
  let pending = 0;
  let stopSweep: (() => void) | undefined;
  let closed = false;

  const dialOnce = diallerOf({
    opened(connection) {
      pending -= 1;
      const waiter = waiting.shift();
      if (waiter === undefined) {
        // Its request has run out of patience, and an unused connection says little about the next one.
        connection.close();
        return;
      }
      waiter.stopTimer();
      open.add(connection);
      connection.carry(waiter.exchange);
      if (waiting.length > pending) dial();
    },
    failed(code, why) {
      pending -= 1;
      // A refusal is news to whoever waits; other failures may be of a connect that was given up long ago.
      let failing = Math.max(waiting.length - pending, code === "refused" ? 1 : 0);
      for (; failing > 0; failing -= 1) {
        const waiter = waiting.shift();
        waiter?.stopTimer();
        waiter?.exchange.fail(code, why);
      }
    },
    idle(connection) {
      connection.idleSince = clock.now();
      idle.push(connection);
      if (stopSweep === undefined) stopSweep = clock.after(limits.idleMs, sweep);
    },
    closed(connection) {
      open.delete(connection);
      const place = idle.lastIndexOf(connection);
      if (place >= 0) idle.splice(place, 1);
    },
  });

  const dial = (): void => {
    if (pending >= limits.maxPendingConnects) return;
    pending += 1;
    dialOnce();
  };

  const isFresh = (connection: Connection): boolean => clock.now() - connection.idleSince < limits.idleMs;

  const sweep = (): void => {
    const kept = idle.findIndex(isFresh);
    for (const connection of idle.splice(0, kept < 0 ? idle.length : kept)) connection.close();
    const oldest = idle[0];
    stopSweep = oldest && clock.after(limits.idleMs - (clock.now() - oldest.idleSince), sweep);
  };

  const takeIdle = (): Connection | undefined => {
    const connection = idle.pop();
    if (connection === undefined || isFresh(connection)) return connection;
    // The youngest is too old, and so are all.
    connection.close();
    for (const older of idle.splice(0)) older.close();
    return undefined;
  };

  const wait = (exchange: Exchange): void => {
    if (open.size + waiting.length >= limits.maxConnections) {
      const unused = idle.shift();
      if (unused === undefined) {
        exchange.fail("too-many-connections", `${limits.maxConnections} connections are in use`);
        return;
      }
      unused.close();
    }
    const leave = (): void => {
      waiter.stopTimer();
      const place = waiting.indexOf(waiter);
      if (place >= 0) waiting.splice(place, 1);
    };
    const waiter: Waiter = {
      exchange,
      stopTimer: clock.after(limits.connectMs, () => {
        exchange.fail("unreachable", `no connection within ${limits.connectMs} ms`);
      }),
    };
    waiting.push(waiter);
    exchange.waits(leave);
    dial();
  };

  const shut = (fail: (exchange: Exchange) => void): void => {
    closed = true;
    stopSweep?.();
    for (const { exchange } of [...waiting]) fail(exchange);
    for (const connection of [...open]) connection.giveUp(fail);
  };

  return {
    carry(exchange) {
      if (closed) {
        exchange.fail("cancelled", "the client is closed");
        return;
      }
      const connection = exchange.request.fresh === true ? undefined : takeIdle();
      if (connection === undefined) wait(exchange);
      else connection.carry(exchange);
    },
    counts: () => ({ open: open.size, idle: idle.length, pending, waiting: waiting.length }),
    close: () => shut((exchange) => exchange.cancel()),
    abandon: (why) => shut((exchange) => exchange.fail("unreachable", why)),
  };
}
