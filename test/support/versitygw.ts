// An S3 server that nobody here wrote, over a folder of its own.

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tester, testerEnv } from "./aws-tester.ts";
import { answersAt, freePort } from "./free-port.ts";

export interface S3Server {
  readonly url: string;
  /** What the AWS SDK reads. */
  readonly env: Readonly<Record<string, string>>;
  /** It says nothing more, until it is thawed. */
  freeze(): void;
  thaw(): void;
  stop(): Promise<void>;
}

const startMs = 10_000;

/** With one bucket, called `bucket`. */
export async function startVersitygw(): Promise<S3Server> {
  const dir = mkdtempSync(join(tmpdir(), "tierline-s3-"));
  mkdirSync(join(dir, "bucket"));
  const port = freePort();
  const url = `http://127.0.0.1:${port}`;
  const access = ["--access", tester.accessKeyId, "--secret", tester.secretAccessKey];
  const child = Bun.spawn(["versitygw", ...access, "--port", `127.0.0.1:${port}`, "posix", dir], {
    stdout: "ignore",
    stderr: "ignore",
  });
  await answersAt(url, startMs);
  return {
    url,
    env: testerEnv(url),
    freeze: () => child.kill("SIGSTOP"),
    thaw: () => child.kill("SIGCONT"),
    async stop() {
      child.kill("SIGKILL");
      await child.exited;
      rmSync(dir, { recursive: true });
    },
  };
}
