// `tierline top` before scripted routers: on paper, on a screen in memory, and on a real terminal.

import { afterEach, describe, expect, test } from "bun:test";
import type { Clock } from "../../src/base/clock.ts";
import { systemClock } from "../../src/base/clock.ts";
import type { ScreenEvents } from "../../src/cli/command.ts";
import { until } from "../support/chat.ts";
import type { Answer } from "./fake-router.ts";
import { fakeRouters } from "./fake-router.ts";
import { tierline } from "./fake-terminal.ts";
import { endpointOf, fleetOf, memberOf, routerOf } from "./fleet-of.ts";

const listener = fakeRouters();

const fleetWith = (...endpoints: ReturnType<typeof endpointOf>[]) =>
  fleetOf([memberOf("gold-1", { endpoints })]);

const two = fleetWith(
  endpointOf("gold-1/idle", { pressure: 0.1 }),
  endpointOf("gold-1/busy", { pressure: 0.9, inflight: 58, waiting: 3, calls: 10 }),
);

const onPaper = `gold-1 is ready. 1 host.
gold 58/128, 45 %; hits: intents 97.0 % of 1,000, results off

endpoint     pressure  state  in use  waiting  p50  p99  breaker  tier
gold-1/busy      90 %     ok   58/64        3    -    -   closed  gold
gold-1/idle      10 %     ok    0/64        0    -    -   closed  gold
`;

describe("top on paper", () => {
  test.each([[["--once"]], [[]]])("prints one frame by pressure, given %p", async (more) => {
    const { url } = listener(routerOf(two));
    expect(await tierline(["top", ...more, "--admin", url])).toEqual({ exit: 0, err: "", out: onPaper });
  });

  test("prints all of 200 endpoints, and JSON where that is asked for", async () => {
    const many = Array.from({ length: 200 }, (_, index) => endpointOf(`h/e${index}`));
    const { url } = listener(routerOf(fleetWith(...many)));
    const { out } = await tierline(["top", "--once", "--admin", url]);
    expect(out.match(/^h\/e/gm)).toHaveLength(200);
    const json = await tierline(["top", "--json", "--admin", url]);
    expect(JSON.parse(json.out)).toMatchObject({ self: "gold-1", caches: { results: { enabled: false } } });
  });

  test("exits 1 with a reason where no router answers", async () => {
    expect(await tierline(["top", "--admin", "http://127.0.0.1:1"])).toMatchObject({ exit: 1, out: "" });
  });
});

/** Twenty seconds in one. */
const hurried: Clock = {
  now: () => systemClock.now() * 20,
  wallMs: systemClock.wallMs,
  after: (delayMs, action) => systemClock.after(delayMs / 20, action),
};

/** Runs top on a screen of that size; `during` is told of each frame, and what it can do to the terminal. */
async function onScreen(
  answer: (path: string) => Answer,
  size: { columns: number; rows: number },
  during: (frame: string, nth: number, events: ScreenEvents) => void,
  clock = hurried,
) {
  const { url } = listener(answer);
  let events: ScreenEvents | undefined;
  let givenBack = 0;
  const frames: string[] = [];
  const ran = await tierline(["top", "--admin", url], {
    clock,
    screen: {
      size: () => size,
      takeOver(given) {
        events = given;
        return () => {
          givenBack += 1;
        };
      },
    },
    onOut(text) {
      frames.push(text);
      const at = frames.length;
      // When whoever drew has returned.
      queueMicrotask(() => events && during(text, at, events));
    },
  });
  expect(givenBack).toBe(1);
  return { ...ran, frames };
}

const linesOf = (frame: string): string[] =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what moves the cursor is no text.
  frame.replaceAll(/\u001b\[[0-9;]*[A-Z]/gi, "").split("\r\n");

describe("top on a screen", () => {
  const size = { columns: 80, rows: 24 };

  for (const [name, leave] of [
    ["q", (events: ScreenEvents) => events.key("q")],
    ["Ctrl-C", (events: ScreenEvents) => events.key("\u0003")],
    ["the end of the terminal or a signal", (events: ScreenEvents) => events.ended()],
  ] as const) {
    test(`ends with ${name}, exits 0 and gives the screen back`, async () => {
      const { exit, frames } = await onScreen(routerOf(two), size, (_, __, events) => leave(events));
      expect([exit, frames.length]).toEqual([0, 1]);
    });
  }

  test("draws anew every second, with the calls of that second", async () => {
    let asked = 0;
    const growing = (path: string): Answer => {
      if (path === "/api/fleet") asked += 1;
      return routerOf(fleetWith(endpointOf("a/e", { calls: 100 * asked })))(path);
    };
    const { frames } = await onScreen(growing, size, (_, nth, events) => nth === 2 && events.key("q"));
    const rates = frames.map(
      (frame) =>
        linesOf(frame)
          .find((line) => line.startsWith("a/e"))
          ?.split(/\s{2,}/)[7],
    );
    expect(rates[0]).toBe("-");
    // A second passes between the two, and whatever asking takes.
    expect(Number(rates[1])).toBeWithin(1, 101);
  });

  test("fits the window, again when its size changes, and says how many it leaves out", async () => {
    const many = Array.from({ length: 30 }, (_, index) =>
      endpointOf(`h/e${index}`, { pressure: index / 30 }),
    );
    const window = { columns: 40, rows: 10 };
    // Without a clock nothing is drawn but for the window's sake.
    const stopped = { ...hurried, after: () => () => undefined };
    const resizing = (_: string, nth: number, events: ScreenEvents): void => {
      window.rows = 24;
      if (nth === 1) events.resized();
      else events.key("q");
    };
    const { frames } = await onScreen(routerOf(fleetWith(...many)), window, resizing, stopped);
    const [small, large] = frames.map(linesOf);
    expect([small?.length, large?.length]).toEqual([10, 24]);
    for (const line of small ?? []) expect(line.length).toBeLessThanOrEqual(40);
    expect(small?.slice(-3)).toEqual([
      expect.stringMatching(/^h\/e26 /),
      "and 26 more under less pressure",
      expect.stringMatching(/^\d\d:\d\d:\d\d {2}q quits$/),
    ]);
  });

  test("keeps the last frame and says so where the router no longer answers", async () => {
    let asked = 0;
    const failing = (path: string): Answer => {
      if (path === "/api/fleet") asked += 1;
      return asked < 2 ? routerOf(two)(path) : { status: 500, body: {} };
    };
    const { exit, frames } = await onScreen(failing, size, (_, nth, events) => nth === 2 && events.key("q"));
    expect(exit).toBe(0);
    const last = linesOf(frames[1] ?? "");
    expect(last[0]).toMatch(/^! this is \d\.\d s old: The router at \S+ refused \(500\)$/);
    expect(last.some((line) => line.startsWith("gold-1/busy"))).toBe(true);
  });
});

describe("top on a real terminal", () => {
  const main = new URL("../../src/main.ts", import.meta.url).pathname;
  const children: Bun.Subprocess[] = [];
  afterEach(() => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
  });

  for (const [name, leave] of [
    ["q", (child: Bun.Subprocess) => void child.terminal?.write("q")],
    ["Ctrl-C", (child: Bun.Subprocess) => void child.terminal?.write("\u0003")],
    ["SIGTERM", (child: Bun.Subprocess) => child.kill("SIGTERM")],
    ["SIGHUP", (child: Bun.Subprocess) => child.kill("SIGHUP")],
  ] as const) {
    test(`puts its modes and its page back after ${name}`, async () => {
      const { url } = listener(routerOf(two));
      let shown = "";
      const drawn = Promise.withResolvers<void>();
      const terminal = new Bun.Terminal({
        cols: 80,
        rows: 24,
        data(_, data) {
          shown += new TextDecoder().decode(data);
          if (shown.includes("q quits")) drawn.resolve();
        },
      });
      const modesBefore = terminal.localFlags;
      const child = Bun.spawn([process.execPath, main, "top", "--admin", url], { terminal });
      children.push(child);
      await drawn.promise;
      const modesDuring = terminal.localFlags;
      leave(child);
      expect(await child.exited).toBe(0);
      // What the child has written may be read after its end.
      await until("its page is given back", () => shown.includes("\u001b[?1049l"));
      expect(modesDuring).not.toBe(modesBefore);
      expect(terminal.localFlags).toBe(modesBefore);
      expect(shown.lastIndexOf("\u001b[?1049l")).toBeGreaterThan(shown.lastIndexOf("\u001b[?1049h"));
      expect(shown.lastIndexOf("\u001b[?25h")).toBeGreaterThan(shown.lastIndexOf("\u001b[?25l"));
      terminal.close();
    });
  }
});
