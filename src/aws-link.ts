// Starts the thread in which the AWS SDK works, and speaks to it.

import type { AwsWorkerStart } from "./aws-worker.ts";
import type { Aws } from "./jobs/aws.ts";
import type { AwsPort, AwsPortEvents, FromAws } from "./jobs/aws-thread.ts";
import { awsInThread } from "./jobs/aws-thread.ts";

export function linkAws(start: AwsWorkerStart): Aws {
  return awsInThread((events) => startThread(start, events));
}

function startThread(start: AwsWorkerStart, { told, died }: AwsPortEvents): AwsPort {
  // The SDK reads its variables itself.
  const env = Object.fromEntries(
    Object.entries(start.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
  const worker = new Worker(new URL("./aws-worker.ts", import.meta.url), { env });
  worker.addEventListener("message", ({ data }: MessageEvent<FromAws>) => told(data));
  const gone = (why: string): void => {
    died(`The thread that speaks to AWS has ended: ${why}. Another is started with the next call.`);
    worker.terminate();
  };
  worker.addEventListener("error", ({ message }) => gone(message));
  worker.addEventListener("close", () => gone("for no reason that it gave"));
  worker.postMessage(start);
  return { post: (message) => worker.postMessage(message), end: () => worker.terminate() };
}
