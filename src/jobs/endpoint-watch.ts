// How the SageMaker endpoint is, for who cannot wait for AWS to say: asked once a minute, and remembered. What is wrong
// with it is told once.

import type { Clock } from "../base/clock.ts";
import type { EndpointAnswer } from "./aws.ts";
import type { ObjectPlace } from "./objects.ts";
import { readS3Url, s3Url } from "./objects.ts";
import { createRounds } from "./rounds.ts";

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

export interface EndpointWatchParts {
  /** Has its own limit of time. */
  ask(signal: AbortSignal): Promise<EndpointAnswer>;
  /** Where results are looked for. */
  readonly output: ObjectPlace;
  readonly clock: Clock;
  /** In sentences for an operator; each once. */
  warn(what: string): void;
}

const everyMs = 60_000;

export function watchEndpoint({ ask, output, clock, warn }: EndpointWatchParts): EndpointWatch {
  const warned = new Set<string>();
  let seen: EndpointSeen | undefined;

  const rounds = createRounds(
    clock,
    async (signal) => {
      const answer = await ask(signal);
      if (signal.aborted) return everyMs;
      if (answer.kind === "trouble") {
        seen = { status: "unknown", why: answer.why };
        return everyMs;
      }
      seen = { status: answer.status, instances: answer.instances };
      for (const what of faultsOf(answer, output)) {
        if (!warned.has(what)) warn(what);
        warned.add(what);
      }
      return everyMs;
    },
    (error) => {
      seen = { status: "unknown", why: String(error) };
      return everyMs;
    },
  );
  rounds.start();

  return { last: () => seen, stop: rounds.stop };
}

type Described = Extract<EndpointAnswer, { kind: "described" }>;

function faultsOf({ outputPath, failurePath }: Described, output: ObjectPlace): readonly string[] {
  if (outputPath === undefined)
    return ["The endpoint is not made for asynchronous inference: it has no output path, and takes no jobs."];
  const faults: string[] = [];
  const there = readS3Url(outputPath);
  if (there === undefined || s3Url(there) !== s3Url(output)) {
    faults.push(
      `The endpoint writes its results to ${outputPath}, and tier.bronze.output is ${s3Url(output)}. After a crash a result is looked for there in vain, and its job is done once more. Set tier.bronze.output to ${outputPath}.`,
    );
  }
  if (failurePath === undefined) {
    faults.push(
      "The endpoint has no failure path, so a job that fails on it leaves no trace and waits until its ttl is over. Give its configuration an S3FailurePath.",
    );
  }
  return faults;
}
