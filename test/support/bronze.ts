// The compiled binary with Bronze on the stand-in for AWS, and jobs as a game client orders them and asks for them.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Aws, AwsOptions } from "../../playground/aws.ts";
import { startAws } from "../../playground/aws.ts";
import { messages } from "./chat.ts";
import { readOpenAiError } from "./openai-error.ts";
import type { Tierline, TierlineOptions } from "./tierline.ts";
import { startTierline } from "./tierline.ts";

export const sageMakerToml = (more = ""): string => `[tier.bronze]
runner = "sagemaker"
endpoint = "story-bronze"
region = "us-east-1"
output = "s3://bucket/results"
models = ["story-70b"]
${more}
`;

type Ends = <T extends { stop(): unknown }>(started: T) => T;

export interface BronzeOptions extends TierlineOptions {
  readonly aws?: Partial<AwsOptions>;
  /** Of `[tier.bronze]`. */
  readonly bronze?: string;
}

export interface Bronze {
  readonly aws: Aws;
  readonly router: Tierline;
  readonly jobs: JobClient;
  /** The same host once more, in the same folder. */
  again(
    more?: Pick<TierlineOptions, "behind">,
  ): Promise<{ readonly router: Tierline; readonly jobs: JobClient }>;
}

export async function startBronze(
  ends: Ends,
  { aws: awsOptions = {}, bronze = "", config = "", env = {}, ...more }: BronzeOptions = {},
): Promise<Bronze> {
  const aws = ends(startAws(awsOptions));
  const options: TierlineOptions = {
    ...more,
    dir: more.dir ?? ends(folder()).dir,
    config: sageMakerToml(bronze) + config,
    env: { ...awsEnv(aws), ...env },
  };
  const again: Bronze["again"] = async (change = {}) => {
    const router = ends(await startTierline({ ...options, ...change }));
    return { router, jobs: jobClient(router.url) };
  };
  return { aws, ...(await again()), again };
}

/** What leads the SDK to the stand-in, and to nothing else. */
export const awsEnv = (aws: Aws): Readonly<Record<string, string>> => ({
  ...aws.env,
  AWS_EC2_METADATA_DISABLED: "false",
  AWS_CONFIG_FILE: "/nonexistent",
  AWS_SHARED_CREDENTIALS_FILE: "/nonexistent",
});

/** For a router that is to be started more than once. */
export function folder(): { readonly dir: string; stop(): void } {
  const dir = mkdtempSync(join(tmpdir(), "tierline-jobs-"));
  return { dir, stop: () => rmSync(dir, { recursive: true, force: true }) };
}

export interface JobAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly job: Readonly<Record<string, unknown>>;
}

/** Fails on anything but a refusal. */
export function errorOf({ status, text }: Pick<JobAnswer, "status" | "text">) {
  const { code, param } = readOpenAiError(text);
  return { status, code, param };
}

export interface OrderOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly kind?: "chat" | "completion";
  readonly ttl_seconds?: number;
}

export interface JobClient {
  /** Without a request: one like no other. */
  order(request?: object, options?: OrderOptions): Promise<JobAnswer>;
  /** As `order`, of one that must be accepted: its id. */
  placed(request?: object, options?: OrderOptions): Promise<string>;
  get(id: string, waitSeconds?: number): Promise<JobAnswer>;
  /** `query`: as in `?status=running`. */
  list(query?: string): Promise<JobAnswer>;
  cancel(id: string): Promise<JobAnswer>;
}

let orders = 0;

/** What was never asked before. */
export const tale = (about = `number ${orders++}`) => ({
  messages: [...messages, { role: "user", content: `A tale of ${about}.` }],
});

/** `key`: of the caller. */
export function jobClient(url: string, key?: string): JobClient {
  const own = key === undefined ? {} : { authorization: `Bearer ${key}` };
  const ask = async (path: string, init: RequestInit = {}): Promise<JobAnswer> => {
    const response = await fetch(`${url}/v1/jobs${path}`, { ...init, headers: { ...own, ...init.headers } });
    const text = await response.text();
    const job: Record<string, unknown> = JSON.parse(text);
    return { status: response.status, headers: response.headers, text, job };
  };
  const order: JobClient["order"] = (request = tale(), { headers = {}, ...fields } = {}) =>
    ask("", {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ request, ...fields }),
    });
  return {
    order,
    async placed(request, options) {
      const { status, text, job } = await order(request, options);
      if (status !== 202) throw new Error(`not accepted, but ${status}: ${text}`);
      return String(job["id"]);
    },
    get: (id, waitSeconds = 0) => ask(`/${id}?wait=${waitSeconds}`),
    list: (query = "") => ask(query),
    cancel: (id) => ask(`/${id}/cancel`, { method: "POST" }),
  };
}

/** What the last message was, as the stand-in says it back. */
export const saidBack = ({ messages: said }: ReturnType<typeof tale>): string =>
  `You said: ${said.at(-1)?.content}`;
