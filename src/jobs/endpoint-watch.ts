// How the SageMaker endpoint is, for who cannot wait for AWS to say: asked once a minute, and remembered.

import type { Clock } from "../base/clock.ts";
import type { EndpointAnswer } from "./aws.ts";

export interface EndpointSeen {
  /** AWS's own word, such as `InService` or `Updating`; `unknown` where it did not say. */
  readonly status: string;
  /** 0 is normal: it is scaled up when there is work. */
  readonly instances?: number;
  /** Why the status is not known, in a sentence. */
  readonly why?: string;
}

export interface EndpointWatch {
  /** Undefined until the first answer. */
  last(): EndpointSeen | undefined;
  stop(): void;
}

const watchRule = { everyMs: 60_000 } as const;

/** `ask`: never rejects, and has its own limit of time. */
export function watchEndpoint(
  ask: (signal: AbortSignal) => Promise<EndpointAnswer>,
  clock: Pick<Clock, "after">,
): EndpointWatch {
  const leaving = new AbortController();
  let seen: EndpointSeen | undefined;
  let stopTimer = () => {};

  const look = async (): Promise<void> => {
    const answer = await ask(leaving.signal);
    if (leaving.signal.aborted) return;
    seen =
      answer.kind === "described"
        ? { status: answer.status, instances: answer.instances }
        : { status: "unknown", why: answer.why };
    stopTimer = clock.after(watchRule.everyMs, () => void look());
  };
  void look();

  return {
    last: () => seen,
    stop() {
      leaving.abort();
      stopTimer();
    },
  };
}
