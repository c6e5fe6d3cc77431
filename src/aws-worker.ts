// The thread in which the AWS SDK works (jobs/aws-thread.ts): an entry of its own, which the build puts into the binary
// beside main.ts. Its first message is the region.

import { systemClock } from "./base/clock.ts";
import { systemRandom } from "./base/random.ts";
import { libc } from "./host/libc.ts";
import { openAws } from "./jobs/aws.ts";
import type { FromAws, ToAws } from "./jobs/aws-thread.ts";
import { answerForAws } from "./jobs/aws-thread.ts";

export interface AwsWorkerStart {
  readonly region: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

declare const self: Worker;

/** Of this thread alone (setpriority(2), Linux): where cores are short, players' loop goes before it. */
const PRIO_PROCESS = 0;
const thisThread = 0;
const nice = 10;
libc()?.setpriority(PRIO_PROCESS, thisThread, nice);

self.addEventListener(
  "message",
  ({ data }: MessageEvent<AwsWorkerStart>) => {
    const aws = openAws(data.region, data.env, systemClock, systemRandom);
    const answer = answerForAws(aws, (message: FromAws) => self.postMessage(message));
    self.addEventListener("message", (event: MessageEvent<ToAws>) => answer(event.data));
  },
  { once: true },
);
