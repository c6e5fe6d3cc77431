// A fleet in one process: the real machines of src/cluster/ on a bad network, in virtual time, from one seed.
// Whatever goes wrong here, goes wrong again with the same seed.

import { drainMicrotasks } from "bun:jsc";
import type { Clock } from "../../src/base/clock.ts";
import type { Random } from "../../src/base/random.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { Gossip } from "../../src/cluster/gossip.ts";
import { createGossip } from "../../src/cluster/gossip.ts";
import { bootId, firstIncarnation } from "../../src/cluster/incarnation.ts";
import type { MembershipEvent } from "../../src/cluster/member.ts";
import type { Message } from "../../src/cluster/messages.ts";
import type { Sent } from "../../src/cluster/transport.ts";
import { createEventQueue } from "./event-queue.ts";

/** What the network does to each leg, a request and its answer being two. */
export interface NetworkFaults {
  loss: number;
  delayMs: number;
  /** Added to the delay, uniform: legs overtake one another. */
  jitterMs: number;
  duplicates: number;
  /** A request that is delivered once more much later. */
  echoes: number;
}

export interface Told {
  readonly at: number;
  readonly event: MembershipEvent;
  /** Of the member at that moment; members change, events are kept. */
  readonly who: string;
  readonly incarnation: number;
}

/** One run of the program on one host. */
export interface Run {
  readonly name: string;
  readonly boot: string;
  readonly address: string;
  readonly gossip: Gossip;
  /** Asks and answers, in its own dialect. */
  readonly says: (message: unknown) => unknown;
  readonly told: Told[];
  readonly traffic: {
    sent: number;
    received: number;
    sentBytes: number;
    receivedBytes: number;
    largest: number;
  };
  up: boolean;
  paused: boolean;
  /** Added to each timer and each leg: a host that is slow. */
  slowMs: number;
  wallOffsetMs: number;
  /** What came while it was paused. */
  backlog: (() => void)[];
}

export interface HostOptions {
  readonly address?: string;
  readonly seeds?: () => readonly string[];
  readonly lastKnown?: readonly string[];
  readonly persisted?: number;
  readonly wallOffsetMs?: number;
  readonly meta?: unknown;
  /** What leaves it, for another version of the program. */
  readonly dialect?: (message: unknown) => unknown;
  /** What the program above the machine makes of what it hears. */
  readonly tell?: (event: MembershipEvent) => void;
}

export interface World {
  readonly seed: number;
  readonly random: Random;
  readonly faults: NetworkFaults;
  readonly now: number;
  readonly events: number;
  /** Every run there has been. */
  readonly runs: readonly Run[];
  /** Those that are up and have not yielded. */
  live(): readonly Run[];
  start(name: string, options?: HostOptions): Run;
  /** `refuses`: the host answers for its dead process; otherwise nobody does. */
  crash(run: Run, refuses?: boolean): void;
  pause(run: Run): void;
  resume(run: Run): void;
  /** Answers what lifts it. */
  block(legs: (from: string, to: string) => boolean): () => void;
  later(delayMs: number, action: () => void): void;
  advance(ms: number): void;
  /** Advances until it holds, looking every 50 ms. Answers the time it took; undefined where it never held. */
  until(holds: () => boolean, mostMs: number): number | undefined;
  /** What the program above the machine does to it. */
  act(run: Run, action: (gossip: Gossip) => void): void;
}

export interface WorldOptions {
  readonly faults?: Partial<NetworkFaults>;
  /** Messages travel as JSON and are counted; large fleets go without. */
  readonly json?: boolean;
  /** A host has spoken for the first time to the one at that address. */
  readonly connected?: (to: string) => void;
  /** Looks at the run that an event has just touched; throws at what must not be. */
  readonly inspect?: (world: World, run: Run) => void;
}

const startMs = 1_000_000;
const wallStartMs = 1_767_225_600_000;
/** An answer to nothing: the request or the answer was lost. */
const refusedAfterMs = 1;

export function createWorld(seed: number, options: WorldOptions = {}): World {
  const random = seededRandom(seed);
  const queue = createEventQueue(startMs);
  const faults: NetworkFaults = {
    loss: 0,
    delayMs: 0.2,
    jitterMs: 0.3,
    duplicates: 0,
    echoes: 0,
    ...options.faults,
  };
  const json = options.json ?? true;
  const runs: Run[] = [];
  const byAddress = new Map<string, Run>();
  const refusing = new Set<string>();
  const met = new Set<string>();
  const blocks = new Set<(from: string, to: string) => boolean>();

  const within = (run: Run, action: () => void): void => {
    if (!run.up) return;
    if (run.paused) {
      run.backlog.push(action);
      return;
    }
    action();
    drainMicrotasks();
    options.inspect?.(world, run);
  };

  const legMs = (from: Run, to: Run | undefined): number =>
    faults.delayMs + faults.jitterMs * random() + from.slowMs + (to?.slowMs ?? 0);
  const lost = (from: string, to: string): boolean => {
    if (faults.loss > 0 && random() < faults.loss) return true;
    for (const blocked of blocks) if (blocked(from, to)) return true;
    return false;
  };
  const travel = (message: unknown, from: Run, to: Run): unknown => {
    if (!json) return message;
    const text = JSON.stringify(message);
    for (const [run, way] of [
      [from, "sent"],
      [to, "received"],
    ] as const) {
      run.traffic[way] += 1;
      run.traffic[`${way}Bytes`] += text.length;
      run.traffic.largest = Math.max(run.traffic.largest, text.length);
    }
    return JSON.parse(text);
  };

  const send = (from: Run, address: string, message: unknown, timeoutMs: number): Promise<Sent> =>
    new Promise((settle) => {
      const giveUp = queue.at(queue.now + timeoutMs, () =>
        within(from, () => settle({ failed: `no answer in ${timeoutMs} ms` })),
      );
      const resolve = (sent: Sent): void => {
        giveUp();
        settle(sent);
      };
      const request = (afterMs: number): void => {
        queue.at(queue.now + afterMs, () => {
          const to = byAddress.get(address);
          if (to?.up !== true) {
            if (!refusing.has(address) || lost(address, from.address)) return;
            queue.at(queue.now + refusedAfterMs, () =>
              within(from, () => resolve({ failed: "connection refused" })),
            );
            return;
          }
          if (options.connected !== undefined && !met.has(`${from.address} ${address}`)) {
            met.add(`${from.address} ${address}`);
            options.connected(address);
          }
          const arrived = travel(from.says(message), from, to);
          within(to, () => {
            void to.gossip.handle(arrived).then((reply) => {
              if (!to.up || lost(to.address, from.address)) return;
              queue.at(queue.now + legMs(to, from), () =>
                within(from, () => resolve({ reply: travel(to.says(reply), to, from) })),
              );
            });
          });
        });
      };
      if (!lost(from.address, address)) request(legMs(from, byAddress.get(address)));
      if (faults.duplicates > 0 && random() < faults.duplicates) request(faults.delayMs + 50 * random());
      if (faults.echoes > 0 && random() < faults.echoes) request(20_000 * random());
    });

  const world: World = {
    seed,
    random,
    faults,
    get now() {
      return queue.now;
    },
    get events() {
      return queue.count;
    },
    runs,
    live: () => runs.filter((run) => run.up && !run.gossip.yielded),
    start(name, host = {}) {
      const address = host.address ?? `${name}:8012`;
      const wall = { offsetMs: host.wallOffsetMs ?? 0 };
      const clock: Clock = {
        now: () => queue.now,
        wallMs: () => queue.now - startMs + wallStartMs + run.wallOffsetMs,
        after: (delayMs, action) => queue.at(queue.now + delayMs + run.slowMs, () => within(run, action)),
      };
      const incarnation = firstIncarnation(queue.now - startMs + wallStartMs + wall.offsetMs, host.persisted);
      const boot = bootId(incarnation, random);
      const run: Run = {
        name,
        boot,
        address,
        gossip: createGossip({
          name,
          boot,
          address,
          incarnation,
          meta: host.meta ?? 0,
          seeds: host.seeds ?? (() => []),
          lastKnown: host.lastKnown ?? [],
          clock,
          random,
          transport: {
            send: (to, message: Message, { timeoutMs }) => send(run, to, message, timeoutMs),
          },
          tell(event) {
            const claim = "member" in event ? event.member.claim : undefined;
            run.told.push({
              at: queue.now,
              event,
              who: claim?.name ?? name,
              incarnation: claim?.incarnation ?? 0,
            });
            host.tell?.(event);
          },
        }),
        says: host.dialect ?? ((message) => message),
        told: [],
        traffic: { sent: 0, received: 0, sentBytes: 0, receivedBytes: 0, largest: 0 },
        up: true,
        paused: false,
        slowMs: 0,
        wallOffsetMs: wall.offsetMs,
        backlog: [],
      };
      runs.push(run);
      byAddress.set(address, run);
      refusing.delete(address);
      within(run, () => run.gossip.start());
      return run;
    },
    crash(run, refuses = false) {
      run.up = false;
      run.backlog = [];
      if (refuses && byAddress.get(run.address) === run) refusing.add(run.address);
    },
    pause(run) {
      run.paused = true;
    },
    resume(run) {
      run.paused = false;
      const missed = run.backlog;
      run.backlog = [];
      for (const action of missed) within(run, action);
    },
    block(legs) {
      blocks.add(legs);
      return () => blocks.delete(legs);
    },
    later(delayMs, action) {
      queue.at(queue.now + delayMs, action);
    },
    advance(ms) {
      const end = queue.now + ms;
      try {
        while (queue.step(end));
      } catch (error) {
        const at = `seed ${seed}, event ${queue.count}, at ${Math.round(queue.now - startMs)} ms`;
        throw new Error(`${at}: ${error instanceof Error ? error.message : error}`, { cause: error });
      }
    },
    until(holds, mostMs) {
      const began = queue.now;
      while (!holds()) {
        if (queue.now - began >= mostMs) return undefined;
        world.advance(50);
      }
      return queue.now - began;
    },
    act: (run, action) => within(run, () => action(run.gossip)),
  };
  return world;
}

/** Whether each of them claims to know each other one in that state. */
export function allSee(runs: readonly Run[], state: string, of: readonly Run[] = runs): boolean {
  return runs.every((run) => {
    const states = new Map(run.gossip.members().map(({ claim }) => [claim.name, claim]));
    return of.every((other) => {
      if (other === run) return true;
      const claim = states.get(other.name);
      return claim?.state === state && (state !== "alive" || claim.boot === other.boot);
    });
  });
}

/** A fleet that has found itself, with the first three as its seeds. */
export function fleetOf(
  world: World,
  size: number,
  each: (index: number) => HostOptions = () => ({}),
): Run[] {
  const seeds = Array.from({ length: Math.min(3, size) }, (_, index) => `h${index}:8012`);
  const runs = Array.from({ length: size }, (_, index) =>
    world.start(`h${index}`, { seeds: () => seeds, ...each(index) }),
  );
  if (world.until(() => allSee(runs, "alive"), 30_000) === undefined)
    throw new Error(`seed ${world.seed}: a fleet of ${size} did not find itself in 30 s`);
  return runs;
}
