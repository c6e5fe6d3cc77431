// What EC2 says of this machine, over IMDSv2: who it is and where it stands. A machine that is none says nothing.

import type { Clock } from "../base/clock.ts";
import { isRecord } from "../base/is-record.ts";
import { parseJson } from "../base/parse-json.ts";
import type { WireClient } from "../wire/client.ts";
import { createWireClient } from "../wire/client.ts";
import { readAtMost } from "../wire/read-at-most.ts";
import { targetOf } from "../wire/target.ts";
import { WireError } from "../wire/wire-error.ts";

export const ec2Rule = {
  /** Of a token. The longest that there is: the service is throttled. */
  tokenTtlSeconds: 21_600,
  /** A token is renewed so much before its end, so that it does not end on its way. */
  tokenMarginMs: 60_000,
  /** At start, for everything. On EC2 it takes two milliseconds; elsewhere nobody answers, and starting must not wait. */
  startMs: 300,
  /** Ten times an identity document. */
  answerBytes: 16 * 1024,
} as const;

const defaultEndpoint = "http://169.254.169.254";
const tokenPath = "/latest/api/token";
const identityPath = "/latest/dynamic/instance-identity/document";

export interface Ec2Identity {
  readonly instanceId: string;
  readonly availabilityZone: string;
  readonly region: string;
}

/** `none`: why nothing is known, for a log. */
export type Ec2Found = Ec2Identity | { readonly none: string };

export type Ec2Answer = { readonly status: number; readonly body: string } | { readonly none: string };

export interface Ec2Metadata {
  /** A path from `/latest/` on. Never rejects. `timeoutMs`: until the last byte, the token's own way included. */
  read(path: string, timeoutMs: number): Promise<Ec2Answer>;
  close(): void;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Where EC2 leaves its mark for every user to read: the first two on Nitro and on bare metal, the last under Xen. */
const marks: readonly (readonly [file: string, mark: RegExp])[] = [
  ["/sys/class/dmi/id/sys_vendor", /^Amazon EC2/],
  ["/sys/class/dmi/id/board_vendor", /^Amazon EC2/],
  ["/sys/hypervisor/uuid", /^ec2/i],
];

/**
 * Whether asking makes sense. Elsewhere nobody answers, and finding that out takes the whole time allowed.
 * `read`: the text of a file; undefined where it cannot be read.
 */
export function mayBeEc2(env: Environment, read: (file: string) => string | undefined): boolean {
  if (isDisabled(env)) return false;
  return Boolean(env[endpointVariable]) || marks.some(([file, mark]) => mark.test(read(file) ?? ""));
}

const endpointVariable = "AWS_EC2_METADATA_SERVICE_ENDPOINT";

const isDisabled = (env: Environment): boolean => env["AWS_EC2_METADATA_DISABLED"]?.toLowerCase() === "true";

/** The variables are those of the AWS SDKs. */
export function createEc2Metadata(env: Environment, clock: Clock): Ec2Metadata {
  if (isDisabled(env)) return unasked("AWS_EC2_METADATA_DISABLED is true");
  const endpoint = env[endpointVariable] || defaultEndpoint;
  const url = URL.parse(endpoint);
  if (url?.protocol !== "http:") return unasked(`${endpointVariable} is no http:// address: ${endpoint}`);
  // The caller's time is what counts, and one connection does for everything.
  const client = createWireClient(targetOf(url), clock, { connectMs: ec2Rule.startMs, maxConnections: 4 });
  return metadataOver(client, clock);
}

/** Who we are, if that is known within `ec2Rule.startMs`. */
export async function askEc2Identity(metadata: Ec2Metadata): Promise<Ec2Found> {
  const answer = await metadata.read(identityPath, ec2Rule.startMs);
  if ("none" in answer) return answer;
  if (answer.status !== 200) return { none: `the instance metadata answers ${answer.status}` };
  return readIdentity(answer.body) ?? { none: "the instance metadata has no readable identity document" };
}

const unasked = (why: string): Ec2Metadata => ({
  read: async () => ({ none: why }),
  close() {},
});

interface Token {
  readonly text: string;
  readonly until: number;
}

interface Question {
  readonly method: "GET" | "PUT";
  readonly path: string;
  readonly header: readonly [name: string, value: string];
}

function metadataOver(client: WireClient, clock: Clock): Ec2Metadata {
  let token: Token | undefined;

  /** `until`: the instant at which nobody waits any longer. */
  const ask = async ({ method, path, header }: Question, until: number): Promise<Ec2Answer> => {
    const exchange = client.request({ method, path, headers: [header] });
    const stopTimer = clock.after(until - clock.now(), exchange.cancel.bind(exchange));
    try {
      const { status, body } = await exchange.response;
      const text = await readAtMost(body, ec2Rule.answerBytes);
      if (text === undefined) exchange.cancel();
      return text === undefined
        ? { none: "the answer is too long" }
        : { status, body: text.toString("utf8") };
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      return { none: error.code === "cancelled" ? "no answer in time" : error.message };
    } finally {
      stopTimer();
    }
  };

  const renewed = async (until: number): Promise<Token | { readonly none: string }> => {
    const { tokenTtlSeconds, tokenMarginMs } = ec2Rule;
    const askedAt = clock.now();
    const header = ["x-aws-ec2-metadata-token-ttl-seconds", String(tokenTtlSeconds)] as const;
    const answer = await ask({ method: "PUT", path: tokenPath, header }, until);
    if ("none" in answer) return answer;
    const text = answer.body.trim();
    if (answer.status !== 200 || !/^[\x21-\x7e]{1,1024}$/.test(text))
      return { none: `no token for the instance metadata: ${answer.status}` };
    token = { text, until: askedAt + tokenTtlSeconds * 1000 - tokenMarginMs };
    return token;
  };

  return {
    async read(path, timeoutMs) {
      const until = clock.now() + timeoutMs;
      const known = token !== undefined && clock.now() < token.until ? token : undefined;
      const held = known ?? (await renewed(until));
      if ("none" in held) return held;
      const question = (text: string): Question => ({
        method: "GET",
        path,
        header: ["x-aws-ec2-metadata-token", text],
      });
      const answer = await ask(question(held.text), until);
      if (known === undefined || "none" in answer || answer.status !== 401) return answer;
      // A machine that was stopped and started again has no use for its old token.
      const next = await renewed(until);
      return "none" in next ? next : ask(question(next.text), until);
    },
    close: client.close,
  };
}

/** What becomes a name must look like one: something else may answer at that address, in a laboratory or a hotel. */
function readIdentity(text: string): Ec2Identity | undefined {
  const document = parseJson(text);
  if (!isRecord(document)) return undefined;
  const { instanceId, availabilityZone, region } = document;
  const isRight =
    isMatch(instanceId, /^i-[0-9a-f]{8,32}$/) &&
    isMatch(availabilityZone, /^[a-z0-9-]{1,64}$/) &&
    isMatch(region, /^[a-z0-9-]{1,64}$/);
  return isRight ? { instanceId, availabilityZone, region } : undefined;
}

const isMatch = (value: unknown, pattern: RegExp): value is string =>
  typeof value === "string" && pattern.test(value);
