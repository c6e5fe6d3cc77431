// `tierline top`: the endpoints of the whole fleet by pressure, anew every second until q.

import type { Ask } from "./ask-router.ts";
import type { Command, Io, Screen } from "./command.ts";
import type { Endpoint, Look } from "./fleet-answers.ts";
import { look, withLook } from "./fleet-answers.ts";
import { problemLines } from "./fleet-problems.ts";
import type { Column } from "./fleet-tables.ts";
import { byPressure, cacheWords, columns, fleetLine, marksText, rowsOf, tierRows } from "./fleet-tables.ts";
import { routerOptions } from "./router.ts";
import { cutText, durationText, fittedTable } from "./table.ts";

const topRule = { everyMs: 1000, problemsMost: 3 } as const;

const ctrlC = "\u0003";
const toLineEnd = "\u001b[K";
const home = "\u001b[H";
const toScreenEnd = "\u001b[J";

export const top: Command = {
  name: "top",
  about: "Show the endpoints of the whole fleet by pressure, anew every second until q",
  options: {
    once: { about: "print one frame, as where there is no terminal" },
    ...routerOptions,
    json: { about: "print one frame as JSON" },
  },
  example: "top --once",
  run: (given, io) =>
    withLook(given, io, async (first, ask) => {
      if (given.has("once") || io.screen === undefined)
        io.out(`${frameOf(first, { columns: io.columns() }).join("\n")}\n`);
      else await watch(ask, first, io, io.screen);
    }),
};

/** What a frame says beside the fleet itself. */
interface Around {
  readonly columns: number | undefined;
  /** As many lines as there are; undefined: any number. */
  readonly rows?: number;
  /** Calls a second from here, by endpoint; undefined in the first frame. */
  readonly rates?: ReadonlyMap<string, number> | undefined;
  /** Before everything else, where it cannot be as it should. */
  readonly alarm?: string | undefined;
  /** For somebody who looks on. */
  readonly foot?: string;
}

function frameOf({ fleet, caches }: Look, { columns: width, rows, rates, alarm, foot }: Around): string[] {
  const [, ...tiers] = tierRows(fleet);
  const head = [
    ...(alarm === undefined ? [] : [`! ${alarm}`]),
    `${fleetLine(fleet)}.`,
    [
      ...tiers.map(([tier, , , used, share]) => `${tier} ${used}, ${share}`),
      `hits: ${cacheWords(caches).join(", ")}`,
    ].join("; "),
    ...problemLines(fleet, topRule.problemsMost),
    "",
  ];
  const endpoints = byPressure(fleet);
  const shown = columnsWith(rates);
  const marks = marksText(rowsOf(shown, endpoints));
  const tail = [marks, foot].filter((line) => line !== undefined);
  // The table's own head, and a line that says how many more there are.
  const room = rows === undefined ? endpoints.length : Math.max(1, rows - head.length - tail.length - 2);
  const some = endpoints.slice(0, room);
  const more = endpoints.length - some.length;
  const table =
    endpoints.length === 0 ? "No engine anywhere in the fleet." : fittedTable(rowsOf(shown, some), width);
  return [
    ...head.map((line) => cutText(line, width)),
    ...table.trimEnd().split("\n"),
    ...(more > 0 ? [`and ${more} more under less pressure`] : []),
    ...tail.map((line) => cutText(line, width)),
  ].slice(0, rows);
}

const { endpoint, pressure, state, used, waiting, p50, p99, breaker, tier } = columns;

function columnsWith(rates: ReadonlyMap<string, number> | undefined): readonly Column[] {
  const calls = {
    head: "calls/s",
    cell: ({ name }: Endpoint) => rates?.get(name)?.toFixed(1) ?? "-",
  };
  const all = [endpoint, pressure, state, used, waiting, p50, p99];
  return [...all, ...(rates === undefined ? [] : [calls]), breaker, tier];
}

/** Until q, Ctrl-C, the end of the terminal or a signal. */
async function watch(ask: Ask, first: Look, io: Io, screen: Screen): Promise<void> {
  const ended = Promise.withResolvers<"ended">();
  let seen = first;
  let seenAt = io.clock.now();
  let rates: ReadonlyMap<string, number> = new Map();
  let alarm: string | undefined;

  const draw = (): void => {
    const { columns, rows } = screen.size();
    const time = new Date(io.clock.wallMs()).toTimeString().slice(0, 8);
    const lines = frameOf(seen, { columns, rows, rates, alarm, foot: `${time}  q quits` });
    // Each line is overwritten in its place, so that nothing flickers; the last one must not scroll the screen.
    io.out(`${home}${lines.map((line) => `${line}${toLineEnd}`).join("\r\n")}${toScreenEnd}`);
  };

  const refresh = async (): Promise<void> => {
    const next = await look(ask);
    const at = io.clock.now();
    if (next.ok) {
      rates = ratesOf(seen, next.value, at - seenAt);
      seen = next.value;
      seenAt = at;
      alarm = undefined;
    } else {
      alarm = `this is ${durationText(at - seenAt)} old: ${next.why}`;
    }
  };

  const giveBack = screen.takeOver({
    key(key) {
      if (key === "q" || key === "Q" || key.includes(ctrlC)) ended.resolve("ended");
    },
    resized: draw,
    ended: () => ended.resolve("ended"),
  });
  try {
    for (let event: unknown; event !== "ended"; ) {
      draw();
      const pause = new Promise<void>((resolve) => void io.clock.after(topRule.everyMs, resolve));
      event = await Promise.race([ended.promise, pause]);
      if (event !== "ended") event = await Promise.race([ended.promise, refresh()]);
    }
  } finally {
    giveBack();
  }
}

/** A host that came back counts from 0 again. */
function ratesOf(before: Look, after: Look, ms: number): ReadonlyMap<string, number> {
  const earlier = new Map(byPressure(before.fleet).map(({ name, calls }) => [name, calls]));
  return new Map(
    byPressure(after.fleet).flatMap(({ name, calls }) => {
      const then = earlier.get(name);
      return then === undefined || calls < then ? [] : [[name, ((calls - then) * 1000) / Math.max(1, ms)]];
    }),
  );
}
