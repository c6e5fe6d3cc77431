// Stands in for AWS as far as Bronze needs it: one asynchronous SageMaker endpoint, its S3, and the credentials of an EC2
// role. Import startAws, or run `bun playground/aws.ts --port 8170` and hand the printed variables to a router.

import { parseArgs } from "node:util";
import type { AwsAnswer } from "./aws/answer.ts";
import { jsonError, xmlError } from "./aws/answer.ts";
import { startAwsControl } from "./aws/control.ts";
import type { EndpointOptions, Invocation } from "./aws/endpoint.ts";
import { createEndpoint } from "./aws/endpoint.ts";
import type { AwsFault, AwsOperation } from "./aws/faults.ts";
import { createAwsFaultPlan } from "./aws/faults.ts";
import type { ObjectMemory } from "./aws/objects.ts";
import { createObjectMemory, placeOf } from "./aws/objects.ts";
import type { Ec2Metadata } from "./ec2-metadata.ts";
import { startEc2Metadata } from "./ec2-metadata.ts";
import type { Exchange } from "./simulated/http-listener.ts";
import { headOf, listenHttp } from "./simulated/http-listener.ts";

export interface AwsOptions extends EndpointOptions {
  /** 0 takes a free one. */
  readonly port: number;
  readonly controlPort: number;
  readonly buckets: readonly string[];
}

export interface Aws {
  readonly url: string;
  /** Where faults are set and calls looked at; answers whatever the rest suffers. */
  readonly controlUrl: string;
  /** What the AWS SDK reads: endpoints, and credentials by way of the instance metadata. */
  readonly env: Readonly<Record<string, string>>;
  readonly metadata: Ec2Metadata;
  readonly objects: Pick<ObjectMemory, "get" | "put" | "delete" | "keys">;
  readonly invocations: readonly Invocation[];
  /** Calls as they came: the operation, then the endpoint's or the object's name. */
  readonly calls: readonly string[];
  /** Replaces whatever faults there are; none clears them. */
  fault(...faults: readonly AwsFault[]): void;
  faults(): readonly AwsFault[];
  /** Machines of the endpoint. */
  scale(instances: number): void;
  /** The keys that were given out are good no more: ExpiredToken. The metadata gives new ones. */
  expireCredentials(): void;
  /** Whether the role has s3:ListBucket. */
  allowList(allowed: boolean): void;
  stop(): Promise<void>;
}

const defaults: AwsOptions = {
  port: 0,
  controlPort: 0,
  buckets: ["bucket"],
  endpoint: "story-bronze",
  output: "s3://bucket/results",
  failure: "s3://bucket/failures",
  model: "story-70b",
  instances: 1,
  concurrency: 4,
  scaleUpMs: 1000,
  workMs: 20,
  engine: undefined,
};

const hostname = "127.0.0.1";
const rolePath = "/latest/meta-data/iam/security-credentials/";
const role = "tierline";
/** Of `calls`; the oldest are forgotten. */
const callsMost = 100_000;

export function startAws(given: Partial<AwsOptions> = {}): Aws {
  const options = { ...defaults, ...given };
  const faults = createAwsFaultPlan();
  const calls: string[] = [];
  let mayList = true;
  let generation = 1;
  let mended = Promise.withResolvers<void>();
  const objects = createObjectMemory(options.buckets, { mayList: () => mayList });
  const endpoint = createEndpoint(options, objects);
  const metadata = startEc2Metadata({
    pages: { [rolePath]: role, [rolePath + role]: () => credentials(generation) },
  });

  const act = (call: Call, { request }: Exchange): AwsAnswer => {
    switch (call.operation) {
      case "invoke":
        return endpoint.invoke(call.name, request, faults.strikeWork(call.name));
      case "describe":
        return endpoint.describe(request);
      default:
        return objects.answer(request);
    }
  };

  const onRequest = async (exchange: Exchange): Promise<void> => {
    const { request } = exchange;
    const answer = ({ status, headers = [], body = "" }: AwsAnswer): void =>
      exchange.answer(status, [...headers], body);
    const call = callOf(exchange);
    calls.push(`${call.operation} ${call.name}`);
    if (calls.length > callsMost) calls.shift();
    const wordError = call.operation === "invoke" || call.operation === "describe" ? jsonError : xmlError;
    const key = /Credential=([^/]+)/.exec(request.headers["authorization"] ?? "")?.[1] ?? "";
    if (/^ASIA\d+$/.test(key) && key !== accessKey(generation)) {
      answer(wordError(400, "ExpiredToken", "The security token included in the request is expired"));
      return;
    }
    const fault = faults.strikeCall(call.operation, call.name);
    switch (fault?.kind) {
      case "status":
        return answer(
          wordError(fault.status, fault.code ?? statusCodes[fault.status] ?? "Error", "as asked for"),
        );
      case "throttle":
        return answer(
          wordError === xmlError
            ? xmlError(503, "SlowDown", "Please reduce your request rate.")
            : jsonError(400, "ThrottlingException", "Rate exceeded"),
        );
      case "reset":
        return exchange.reset();
      case "accept-then-reset":
        act(call, exchange);
        return exchange.reset();
      case "accept-then-500":
        act(call, exchange);
        return answer(wordError(500, "InternalFailure", "as asked for"));
      case "truncate": {
        const { status, headers = [], body = "" } = act(call, exchange);
        const bytes = Buffer.from(body);
        exchange.raw(headOf(status, headers, `content-length: ${bytes.byteLength}`));
        exchange.raw(bytes.subarray(0, bytes.byteLength / 2));
        return exchange.close();
      }
      case "spoil":
        return answer(spoilt(act(call, exchange)));
      case "slow":
        await Bun.sleep(fault.delayMs);
        return answer(act(call, exchange));
      case "hang":
        await mended.promise;
        return answer(act(call, exchange));
      case undefined:
        return answer(act(call, exchange));
    }
  };

  const listener = listenHttp({
    port: options.port,
    hostname,
    keepAliveMs: 0,
    onConnection: () => true,
    onRequest: (exchange) => void onRequest(exchange),
  });
  const url = `http://${hostname}:${listener.port}`;
  const aws: Omit<Aws, "controlUrl"> = {
    url,
    env: {
      AWS_ENDPOINT_URL: url,
      AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url,
      AWS_REGION: "us-east-1",
      // No file may lead to a real account.
      AWS_CONFIG_FILE: "/nonexistent",
      AWS_SHARED_CREDENTIALS_FILE: "/nonexistent",
    },
    metadata,
    objects,
    invocations: endpoint.invocations,
    calls,
    fault(...wanted) {
      faults.set(wanted);
      mended.resolve();
      mended = Promise.withResolvers();
    },
    faults: faults.current,
    scale: endpoint.scale,
    expireCredentials() {
      generation += 1;
    },
    allowList(allowed) {
      mayList = allowed;
    },
    async stop() {
      mended.resolve();
      endpoint.stop();
      listener.refuse();
      await Promise.all([metadata.stop(), control.stop()]);
    },
  };
  const control = startAwsControl(hostname, options.controlPort, aws);
  return Object.assign(aws, { controlUrl: control.url });
}

/** As S3 sends what was uploaded with a checksum, and the last byte another. */
function spoilt(whole: AwsAnswer): AwsAnswer {
  const bytes = Buffer.from(whole.body ?? "");
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(Bun.hash.crc32(bytes));
  const body = Buffer.concat([bytes.subarray(0, -1), Buffer.from([~(bytes.at(-1) ?? 0) & 0xff])]);
  return {
    ...whole,
    headers: [...(whole.headers ?? []), ["x-amz-checksum-crc32", sum.toString("base64")]],
    body,
  };
}

interface Call {
  readonly operation: AwsOperation;
  /** The endpoint, or the key of the object. */
  readonly name: string;
}

function callOf({ request }: Exchange): Call {
  const { method, path, headers } = request;
  const invoked = /^\/endpoints\/([^/]+)\/async-invocations$/.exec(path)?.[1];
  if (invoked !== undefined) return { operation: "invoke", name: decodeURIComponent(invoked) };
  if (headers["x-amz-target"] === "SageMaker.DescribeEndpoint") return { operation: "describe", name: "" };
  const { key } = placeOf(path);
  if (method === "PUT") return { operation: "put", name: key };
  return key === "" ? { operation: "list", name: "" } : { operation: "get", name: key };
}

/** What AWS calls them. */
const statusCodes: Readonly<Record<number, string>> = {
  400: "ValidationError",
  403: "AccessDeniedException",
  500: "InternalFailure",
  503: "ServiceUnavailable",
};

const accessKey = (generation: number): string => `ASIA${String(generation).padStart(16, "0")}`;

/** As the metadata give them. The SDK renews them some minutes before their end. */
const credentials = (generation: number): string =>
  JSON.stringify({
    Code: "Success",
    LastUpdated: new Date().toISOString(),
    Type: "AWS-HMAC",
    AccessKeyId: accessKey(generation),
    SecretAccessKey: "a-secret-that-opens-nothing",
    Token: `token-${generation}`,
    Expiration: new Date(Date.now() + 6 * 3_600_000).toISOString(),
  });

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      port: { type: "string", default: "0" },
      "control-port": { type: "string", default: "0" },
      endpoint: { type: "string", default: defaults.endpoint },
      model: { type: "string", default: defaults.model },
      instances: { type: "string", default: `${defaults.instances}` },
      "scale-up-ms": { type: "string", default: `${defaults.scaleUpMs}` },
      "work-ms": { type: "string", default: `${defaults.workMs}` },
      engine: { type: "string" },
    },
  });
  const aws = startAws({
    port: Number(values.port),
    controlPort: Number(values["control-port"]),
    endpoint: values.endpoint,
    model: values.model,
    instances: Number(values.instances),
    scaleUpMs: Number(values["scale-up-ms"]),
    workMs: Number(values["work-ms"]),
    engine: values.engine,
  });
  console.log(JSON.stringify({ msg: "ready", url: aws.url, control: aws.controlUrl, env: aws.env }));
  const leave = (): never => process.exit(0);
  process.on("SIGTERM", leave);
  process.on("SIGINT", leave);
}
