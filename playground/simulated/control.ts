// The control listener: breaks an engine and tells what it saw. On its own port, so that no fault can silence it.

import type { Fault } from "./faults.ts";
import { isFault } from "./faults.ts";
import type { JournalStats, RecordedRequest } from "./journal.ts";
import type { SchedulerCounts } from "./scheduler.ts";

export interface EngineStats extends JournalStats, SchedulerCounts {
  /** Open now, and accepted since the start. */
  readonly connections: number;
  readonly connectionsAccepted: number;
  readonly faultsStruck: number;
}

interface Controlled {
  fault(...faults: readonly Fault[]): void;
  clear(): void;
  serve(model: string): void;
  faults(): readonly Fault[];
  stats(): EngineStats;
  requests(): RecordedRequest[];
}

export interface Control {
  readonly url: string;
  stop(): Promise<void>;
}

/** GET and POST and DELETE /control, POST /control/model, GET /control/requests, GET /control/stats. */
export function startControl(hostname: string, port: number, engine: Controlled): Control {
  const server = Bun.serve({
    hostname,
    port,
    routes: {
      "/control": {
        GET: () => Response.json({ faults: engine.faults() }),
        async POST(request) {
          const wanted = wantedFaults(await request.json().catch(() => undefined));
          if (wanted === undefined) {
            return Response.json(
              { error: 'send {"fault":{"kind":"hang"}} or {"faults":[…]}' },
              { status: 400 },
            );
          }
          engine.fault(...wanted);
          return Response.json({ faults: engine.faults() });
        },
        DELETE() {
          engine.clear();
          return Response.json({ faults: [] });
        },
      },
      "/control/model": {
        async POST(request) {
          const body: unknown = await request.json().catch(() => undefined);
          const model = typeof body === "object" && body !== null && "model" in body ? body.model : undefined;
          if (typeof model !== "string" || model === "") {
            return Response.json({ error: 'send {"model":"its name"}' }, { status: 400 });
          }
          engine.serve(model);
          return Response.json({ model });
        },
      },
      "/control/requests": { GET: () => Response.json({ requests: engine.requests() }) },
      "/control/stats": { GET: () => Response.json(engine.stats()) },
    },
    fetch: () => new Response("Not Found", { status: 404 }),
  });
  return { url: `http://${hostname}:${server.port}`, stop: () => server.stop(true) };
}

function wantedFaults(body: unknown): Fault[] | undefined {
  if (typeof body !== "object" || body === null) return undefined;
  const list: unknown = "faults" in body ? body.faults : "fault" in body ? [body.fault] : undefined;
  return Array.isArray(list) && list.every(isFault) ? list : undefined;
}
