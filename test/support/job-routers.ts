// Routers of one fleet that have jobs: real listeners, real seals and real desks, and members as a test says.

import { systemClock } from "../../src/base/clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { createForwardSeals } from "../../src/host/forwarded.ts";
import type { JobCallSeals } from "../../src/host/job-call.ts";
import { createJobCallSeals } from "../../src/host/job-call.ts";
import type { Refused } from "../../src/host/sealed-message.ts";
import type { Door, DoorSettings, MemberFacts } from "../../src/http/door.ts";
import type { App } from "../../src/http/listen.ts";
import { listen } from "../../src/http/listen.ts";
import { createPublicApp } from "../../src/http/public.ts";
import type { JobCallLinks } from "../../src/job-calls.ts";
import { createJobCalls } from "../../src/job-calls.ts";
import type { JobDesk } from "../../src/jobs/desk.ts";
import { createDeskWithoutLane } from "../../src/jobs/idle-desk.ts";
import { createJobIds } from "../../src/jobs/job-id.ts";
import { advertWith } from "./adverts.ts";
import type { DeskOptions, DeskScene } from "./desk-scene.ts";
import { deskScene } from "./desk-scene.ts";
import { clockOffBy } from "./gossip-host.ts";
import { npcDoor } from "./npc-door.ts";
import { sealing } from "./seals.ts";

export interface JobRouter extends DeskScene {
  readonly url: string;
  readonly door: Door;
  readonly seals: JobCallSeals;
  /** Seals that were refused. */
  readonly refused: readonly Refused[];
  /** Requests that came in, as `METHOD path?query`. */
  readonly asked: string[];
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>;
  /** A job that was accepted; answers its id. */
  placed(headers?: Record<string, string>, request?: object): Promise<string>;
}

export interface JobRouterOptions extends DeskOptions {
  readonly settings?: Partial<DoorSettings>;
  /** By how much its clock is ahead of the others'. */
  readonly offMs?: number;
  readonly secret?: string;
  /** It has run for long, and so knows who is in the fleet. */
  readonly isOld?: boolean;
  readonly withLane?: boolean;
  /** In place of what the desk does. */
  readonly instead?: Partial<JobDesk>;
  readonly dispatch?: Door["dispatch"];
}

export interface JobRouters {
  router(name: string, options?: JobRouterOptions): JobRouter;
  /** What all hold it for from now on. */
  becomes(name: string, state: MemberFacts["state"]): void;
  /** A member that is no router of ours, wherever that address leads. */
  member(name: string, address: string): void;
  stop(): Promise<void>;
}

export function jobRouters(): JobRouters {
  const rows = new Map<string, { state: MemberFacts["state"]; readonly address: string }>();
  const opened: { readonly calls: JobCallLinks; stop(): Promise<void> }[] = [];

  const membersFor = (self: string): readonly MemberFacts[] =>
    [...rows].map(([name, { state, address }]) => ({
      name,
      isSelf: name === self,
      state,
      incarnation: 1,
      advert: advertWith([], { public: address }),
    }));

  return {
    router(name, options = {}) {
      const {
        settings,
        offMs = 0,
        secret = "secret",
        isOld = false,
        withLane = true,
        instead,
        dispatch,
        ...parts
      } = options;
      const newId = createJobIds(name, systemClock, seededRandom(rows.size));
      const scene = deskScene(systemClock, { member: name, newId, ...parts });
      const claims = sealing(clockOffBy(offMs), { name, fleet: "test", keys: [secret] });
      const seals = createJobCallSeals(claims);
      const calls = createJobCalls({ seals, members: () => membersFor(name), clock: systemClock });
      const refused: Refused[] = [];
      const count = (why: Refused): void => void refused.push(why);
      const base = npcDoor(() => undefined, settings);
      const door: Door = {
        ...base,
        desk: withLane ? { ...scene.desk, ...instead } : createDeskWithoutLane(name),
        ...(dispatch && { dispatch }),
        askMember: isOld ? { ...calls, mayExist: (member) => rows.has(member) } : calls,
        cluster: {
          ...base.cluster,
          forwarded: { open: createForwardSeals(claims).open, refused: count },
          jobCalls: { open: seals.open, refused: count },
        },
      };
      const asked: string[] = [];
      const app = noting(createPublicApp(door), asked);
      const listener = listen(app, { hostname: "127.0.0.1", port: 0 }, base.log);
      rows.set(name, { state: "alive", address: listener.url });
      opened.push({
        calls,
        async stop() {
          calls.stop();
          await listener.stop(true);
          await scene.stop();
        },
      });
      const ask: JobRouter["ask"] = (method, path, body, headers = {}) =>
        fetch(`${listener.url}${path}`, {
          method,
          headers,
          ...(body !== undefined && { body: JSON.stringify(body) }),
        });
      return {
        ...scene,
        url: listener.url,
        door,
        seals,
        refused,
        asked,
        ask,
        async placed(headers = {}, request = { messages: [] }) {
          const response = await ask("POST", "/v1/jobs", { request }, headers);
          const { id } = JSON.parse(await response.text());
          if (response.status !== 202 || typeof id !== "string") throw new Error("not placed");
          return id;
        },
        stop: () => listener.stop(true),
      };
    },
    becomes(name, state) {
      const row = rows.get(name);
      if (row !== undefined) row.state = state;
      for (const { calls } of opened) calls.membersChanged();
    },
    member: (name, address) => void rows.set(name, { state: "alive", address }),
    async stop() {
      for (const each of opened) await each.stop();
    },
  };
}

/** The same app; each request that comes in is added to the list. */
function noting(app: App, asked: string[]): App {
  const note = ({ method, url }: Request): void => {
    const { pathname, search } = new URL(url);
    asked.push(`${method} ${pathname}${search}`);
  };
  const routes = Object.entries(app.routes).map(([path, route]): [string, typeof route] => [
    path,
    (request, server) => {
      note(request);
      return route(request, server);
    },
  ]);
  return {
    ...app,
    routes: Object.fromEntries(routes),
    fetch(request) {
      note(request);
      return app.fetch(request);
    },
  };
}
