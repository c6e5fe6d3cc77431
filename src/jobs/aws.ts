// The one file that knows the AWS SDK, loaded with the first call so that a start without Bronze does not pay for it.
// What goes wrong comes back as a value; what to do about it is the runner's.

import type { GetObjectCommandOutput, S3Client, S3ClientConfig } from "@aws-sdk/client-s3";
import type { SageMakerClient } from "@aws-sdk/client-sagemaker";
import type { SageMakerRuntimeClient } from "@aws-sdk/client-sagemaker-runtime";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import { nameOf, troubleIn } from "./aws-trouble.ts";
import type { CallTrouble, ObjectPlace, Objects, PutCondition } from "./objects.ts";

export const awsRule = {
  connectMs: 3_000,
  /** A hand-over carries at most 128,000 bytes and is answered at once. */
  submitMs: 15_000,
  describeMs: 10_000,
  lookMs: 10_000,
  /** Of so many cheap looks one is left to the SDK, should its own files lead it to another S3 than its variables. */
  looksBySdk: 10,
  /** Ten megabytes over a slow evening. */
  objectMs: 60_000,
  /** Connections to one service: the lane hands over and looks at no more jobs at once. */
  socketsMost: 32,
  /** Between two forced renewals: the metadata service is throttled. */
  renewMs: 10_000,
} as const;

export interface AsyncCall {
  readonly endpoint: string;
  readonly input: { readonly body: Uint8Array } | { readonly location: string };
  readonly inferenceId: string;
  readonly customAttributes: string;
  /** Behind the endpoint's own output path. */
  readonly outputPath: string;
  readonly filename: string;
  readonly requestTtlSeconds: number;
  readonly invocationTimeoutSeconds: number;
}

export type AsyncAnswer =
  | {
      readonly kind: "taken";
      readonly inferenceId: string | undefined;
      readonly outputLocation: string | undefined;
      readonly failureLocation: string | undefined;
    }
  | CallTrouble;

export type EndpointAnswer =
  | {
      readonly kind: "described";
      /** AWS's word: `InService`, `Updating`, … */
      readonly status: string;
      /** Zero is normal: it is scaled up when there is work. */
      readonly instances: number;
      readonly outputPath: string | undefined;
      /** Without it a failed job leaves no trace. */
      readonly failurePath: string | undefined;
    }
  | CallTrouble;

export interface Aws {
  readonly objects: Objects;
  invokeAsync(call: AsyncCall, signal: AbortSignal): Promise<AsyncAnswer>;
  describeEndpoint(name: string, signal: AbortSignal): Promise<EndpointAnswer>;
  close(): void;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Endpoints and credentials are read by the SDK itself, from the variables and files that it always reads. */
export function openAws(region: string, env: Environment, clock: Clock, random: Random): Aws {
  let opening: Promise<Clients> | undefined;
  let renewedAt = Number.NEGATIVE_INFINITY;
  const clients = (): Promise<Clients> => {
    opening ??= openClients(region, env);
    return opening;
  };

  /** Keys can be withdrawn long before the end that they were given; the SDK would go on with them until then. */
  const renew = async (): Promise<void> => {
    if (clock.now() < renewedAt + awsRule.renewMs) return;
    renewedAt = clock.now();
    const { s3 } = await clients();
    await s3.config.credentials({ forceRefresh: true }).catch(troubleIn);
  };

  // Bun's own client: a look of the SDK costs twenty times as much, on the loop that serves everybody. Of ten thousand
  // jobs nearly all looks find nothing.
  const exists = async ({ bucket, key }: ObjectPlace): Promise<boolean> => {
    const { s3 } = await clients();
    const { accessKeyId, secretAccessKey, sessionToken } = await s3.config.credentials();
    const endpoint = endpointOf(env);
    return Bun.S3Client.exists(key, {
      bucket,
      region,
      accessKeyId,
      secretAccessKey,
      ...(sessionToken !== undefined && { sessionToken }),
      ...(endpoint !== undefined && { endpoint }),
    });
  };

  const ask = async <Answer>(
    limitMs: number,
    signal: AbortSignal,
    call: (clients: Clients, signal: AbortSignal) => Promise<Answer>,
  ): Promise<Answer | CallTrouble> => {
    const answer = await limited(clock, limitMs, signal, async (both) => call(await clients(), both));
    if (isTrouble(answer) && answer.trouble === "credentials") await limited(clock, limitMs, signal, renew);
    return answer;
  };

  return {
    objects: {
      async isSurelyMissing(place, signal) {
        if (random() * awsRule.looksBySdk < 1) return false;
        return (await limited(clock, awsRule.lookMs, signal, () => exists(place))) === false;
      },
      get: ({ bucket, key }, bytesMost, signal) =>
        ask(awsRule.objectMs, signal, async ({ s3, GetObject }, abortSignal) => {
          try {
            const found = await s3.send(new GetObject({ Bucket: bucket, Key: key }), { abortSignal });
            return await readObject(found, bytesMost);
          } catch (error) {
            const { name, status } = nameOf(error);
            // Not a missing bucket: that is a mistake, and not a result that is still to come.
            if (name === "NoSuchKey") return { kind: "missing" };
            const trouble = troubleIn(error);
            return status === 403 && trouble.trouble === "denied"
              ? { kind: "hidden", why: trouble.why }
              : trouble;
          }
        }),
      put: ({ bucket, key }, bytes, condition, signal) =>
        ask(awsRule.objectMs, signal, async ({ s3, PutObject }, abortSignal) => {
          const content = { Bucket: bucket, Key: key, Body: bytes, ContentType: "application/json" };
          try {
            await s3.send(new PutObject({ ...content, ...conditionOf(condition) }), { abortSignal });
            return { kind: "stored" };
          } catch (error) {
            const { name, status } = nameOf(error);
            // 409: another conditional write was under way. 404: what was to be replaced is gone.
            const isOvertaken =
              condition !== "always" && (status === 412 || status === 409 || name === "NoSuchKey");
            return isOvertaken ? { kind: "overtaken" } : troubleIn(error);
          }
        }),
      list: ({ bucket, key }, after, signal) =>
        ask(awsRule.objectMs, signal, async ({ s3, ListObjects }, abortSignal) => {
          const query = { Bucket: bucket, Prefix: key, ...(after !== undefined && { StartAfter: after }) };
          const listed = await s3.send(new ListObjects(query), { abortSignal });
          const keys = (listed.Contents ?? []).flatMap(({ Key }) => (Key === undefined ? [] : [Key]));
          return { kind: "listed", keys, isCut: listed.IsTruncated ?? false };
        }),
    },
    invokeAsync: (call, signal) =>
      ask(awsRule.submitMs, signal, async ({ runtime, InvokeAsync }, abortSignal) => {
        const taken = await runtime.send(new InvokeAsync(inputOf(call)), { abortSignal });
        return {
          kind: "taken",
          inferenceId: taken.InferenceId,
          outputLocation: taken.OutputLocation,
          failureLocation: taken.FailureLocation,
        };
      }),
    describeEndpoint: (name, signal) =>
      ask(awsRule.describeMs, signal, async ({ sagemaker, Describe }, abortSignal) => {
        const told = await sagemaker.send(new Describe({ EndpointName: name }), { abortSignal });
        const variants = told.ProductionVariants ?? [];
        const output = told.AsyncInferenceConfig?.OutputConfig;
        return {
          kind: "described",
          status: told.EndpointStatus ?? "unknown",
          instances: variants.reduce((sum, { CurrentInstanceCount }) => sum + (CurrentInstanceCount ?? 0), 0),
          outputPath: output?.S3OutputPath,
          failurePath: output?.S3FailurePath,
        };
      }),
    close() {
      void opening?.then(
        (all) => all.close(),
        () => {},
      );
    },
  };
}

/** Of S3, where it is not Amazon's. */
const endpointOf = (env: Environment): string | undefined =>
  env["AWS_ENDPOINT_URL_S3"] || env["AWS_ENDPOINT_URL"] || undefined;

type Clients = Awaited<ReturnType<typeof openClients>>;

async function openClients(region: string, env: Environment) {
  const [s3, runtime, sagemaker] = await Promise.all([
    import("@aws-sdk/client-s3"),
    import("@aws-sdk/client-sagemaker-runtime"),
    import("@aws-sdk/client-sagemaker"),
  ]);
  const agent = { keepAlive: true, maxSockets: awsRule.socketsMost };
  const common = {
    region,
    requestHandler: { connectionTimeout: awsRule.connectMs, httpAgent: agent, httpsAgent: agent },
  };
  const s3Config: S3ClientConfig = {
    ...common,
    maxAttempts: 2,
    // What stands in for S3 seldom answers to a name for each bucket.
    forcePathStyle: endpointOf(env) !== undefined,
    // It saves nothing at our sizes, and what stands in for S3 may not answer it.
    expectContinueHeader: false,
  };
  const s3Client: S3Client = new s3.S3Client(s3Config);
  // One chain of credentials for all: each would ask the metadata service by itself.
  const { credentials } = s3Client.config;
  const runtimeClient: SageMakerRuntimeClient = new runtime.SageMakerRuntimeClient({
    ...common,
    credentials,
    // The lane repeats, and knows when; a second hand-over costs a machine its time.
    maxAttempts: 1,
  });
  const sagemakerClient: SageMakerClient = new sagemaker.SageMakerClient({
    ...common,
    credentials,
    maxAttempts: 2,
  });
  return {
    s3: s3Client,
    runtime: runtimeClient,
    sagemaker: sagemakerClient,
    GetObject: s3.GetObjectCommand,
    PutObject: s3.PutObjectCommand,
    ListObjects: s3.ListObjectsV2Command,
    InvokeAsync: runtime.InvokeEndpointAsyncCommand,
    Describe: sagemaker.DescribeEndpointCommand,
    close() {
      s3Client.destroy();
      runtimeClient.destroy();
      sagemakerClient.destroy();
    },
  };
}

const inputOf = (call: AsyncCall) => ({
  EndpointName: call.endpoint,
  ContentType: "application/json",
  Accept: "application/json",
  ...("body" in call.input ? { Body: call.input.body } : { InputLocation: call.input.location }),
  InferenceId: call.inferenceId,
  CustomAttributes: call.customAttributes,
  S3OutputPathExtension: call.outputPath,
  Filename: call.filename,
  RequestTTLSeconds: call.requestTtlSeconds,
  InvocationTimeoutSeconds: call.invocationTimeoutSeconds,
});

function conditionOf(condition: PutCondition): { IfNoneMatch?: string; IfMatch?: string } {
  if (condition === "always") return {};
  return condition === "absent" ? { IfNoneMatch: "*" } : { IfMatch: condition.etag };
}

async function readObject({ Body, ContentLength, ETag }: GetObjectCommandOutput, bytesMost: number) {
  const leave = (): void => {
    if (Body !== undefined && "destroy" in Body) Body.destroy();
  };
  // Something on the way, such as a proxy with a page of its own, which must not become the end of a job.
  if (Body === undefined || ContentLength === undefined || ETag === undefined) {
    leave();
    const why = "What answered was not S3: an object came without its length or its etag.";
    return { kind: "trouble", trouble: "server", why } as const;
  }
  if (ContentLength > bytesMost) {
    leave();
    return { kind: "too-large", bytes: ContentLength } as const;
  }
  return { kind: "found", bytes: await Body.transformToByteArray(), etag: ETag } as const;
}

const isTrouble = (answer: unknown): answer is CallTrouble =>
  typeof answer === "object" && answer !== null && "kind" in answer && answer.kind === "trouble";

/**
 * The signal is handed on, but not trusted: while it asks for credentials the SDK looks at none. What comes after the
 * limit falls on the floor.
 */
async function limited<Answer>(
  clock: Clock,
  limitMs: number,
  outer: AbortSignal,
  call: (signal: AbortSignal) => Promise<Answer>,
): Promise<Answer | CallTrouble> {
  if (outer.aborted) return { kind: "trouble", trouble: "cut", why: "cut short before it was sent" };
  const inner = new AbortController();
  const over = Promise.withResolvers<CallTrouble>();
  const end = (trouble: "cut" | "timeout", why: string): void => {
    over.resolve({ kind: "trouble", trouble, why });
    inner.abort();
  };
  const cut = (): void => end("cut", "cut short");
  outer.addEventListener("abort", cut, { once: true });
  const stopTimer = clock.after(limitMs, () => end("timeout", `no answer within ${limitMs / 1000} s`));
  try {
    return await Promise.race([call(inner.signal).catch(troubleIn), over.promise]);
  } finally {
    stopTimer();
    outer.removeEventListener("abort", cut);
  }
}
