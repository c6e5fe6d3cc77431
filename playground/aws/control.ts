// The control listener of the stand-in for AWS: breaks it and tells what it saw. On its own port, so that no fault can
// silence it.

import type { Invocation } from "./endpoint.ts";
import type { AwsFault } from "./faults.ts";
import { isAwsFault } from "./faults.ts";

interface Controlled {
  readonly calls: readonly string[];
  readonly invocations: readonly Invocation[];
  fault(...faults: readonly AwsFault[]): void;
  faults(): readonly AwsFault[];
  scale(instances: number): void;
  expireCredentials(): void;
  allowList(allowed: boolean): void;
}

export interface AwsControl {
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * GET, POST and DELETE /control; POST /control/instances, /control/credentials/expire and /control/list-bucket;
 * GET /control/calls and /control/invocations.
 */
export function startAwsControl(hostname: string, port: number, aws: Controlled): AwsControl {
  const server = Bun.serve({
    hostname,
    port,
    routes: {
      "/control": {
        GET: () => Response.json({ faults: aws.faults() }),
        async POST(request) {
          const { fault, faults = [fault] } = await bodyOf(request);
          if (!Array.isArray(faults) || !faults.every(isAwsFault))
            return wrong('send {"fault":{"kind":"throttle"}} or {"faults":[…]}');
          aws.fault(...faults);
          return Response.json({ faults: aws.faults() });
        },
        DELETE() {
          aws.fault();
          return Response.json({ faults: [] });
        },
      },
      "/control/instances": {
        async POST(request) {
          const { count } = await bodyOf(request);
          if (typeof count !== "number") return wrong('send {"count":0}');
          aws.scale(count);
          return Response.json({ count });
        },
      },
      "/control/credentials/expire": {
        POST() {
          aws.expireCredentials();
          return Response.json({ expired: true });
        },
      },
      "/control/list-bucket": {
        async POST(request) {
          const { allowed } = await bodyOf(request);
          if (typeof allowed !== "boolean") return wrong('send {"allowed":false}');
          aws.allowList(allowed);
          return Response.json({ allowed });
        },
      },
      "/control/calls": { GET: () => Response.json({ calls: aws.calls }) },
      "/control/invocations": { GET: () => Response.json({ invocations: aws.invocations }) },
    },
    fetch: () => new Response("Not Found", { status: 404 }),
  });
  return { url: `http://${hostname}:${server.port}`, stop: () => server.stop(true) };
}

async function bodyOf(request: Request): Promise<Readonly<Record<string, unknown>>> {
  const body: unknown = await request.json().catch(() => undefined);
  return typeof body === "object" && body !== null ? { ...body } : {};
}

const wrong = (hint: string): Response => Response.json({ error: hint }, { status: 400 });
