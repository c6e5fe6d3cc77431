// A SageMaker endpoint for asynchronous inference: takes invocations, queues them, scales from zero, works them off and
// writes what came of them into its buckets.

import type { HttpRequest } from "../simulated/http-request.ts";
import type { AwsAnswer } from "./answer.ts";
import { jsonError } from "./answer.ts";
import type { WorkFault } from "./faults.ts";
import type { ObjectMemory } from "./objects.ts";
import { placeOf } from "./objects.ts";

export interface EndpointOptions {
  readonly endpoint: string;
  /** `s3://bucket/prefix`, where results go; and where failures do. */
  readonly output: string;
  readonly failure: string;
  readonly model: string;
  /** Machines at the start. */
  readonly instances: number;
  /** Of each. */
  readonly concurrency: number;
  /** From the first backlog to the first machine, where there was none. */
  readonly scaleUpMs: number;
  /** Of one invocation, where no engine is asked. */
  readonly workMs: number;
  /** An OpenAI-compatible engine to ask; without one the answer is made up, the same for the same request. */
  readonly engine: string | undefined;
}

export interface Invocation {
  readonly inferenceId: string;
  readonly customAttributes: string;
  readonly inputLocation: string | undefined;
  readonly outputLocation: string;
  readonly failureLocation: string;
  readonly requestTtlSeconds: number;
  readonly invocationTimeoutSeconds: number;
  /** As the container got it. */
  readonly body: string;
}

export interface Endpoint {
  invoke(name: string, request: HttpRequest, fault: WorkFault | undefined): AwsAnswer;
  describe(request: HttpRequest): AwsAnswer;
  /** All that were accepted, oldest first. */
  readonly invocations: readonly Invocation[];
  scale(instances: number): void;
  stop(): void;
}

const inlineBytesMost = 128_000;
const prefix = "x-amzn-sagemaker-";

export function createEndpoint(options: EndpointOptions, objects: ObjectMemory): Endpoint {
  const invocations: Invocation[] = [];
  const timers = new Set<Timer>();
  let queue: { readonly invocation: Invocation; readonly fault: WorkFault | undefined }[] = [];
  let instances = options.instances;
  let working = 0;
  let isScaling = false;
  let stopped = false;

  const later = (delayMs: number, action: () => void): void => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      action();
    }, delayMs);
    timers.add(timer);
  };

  const write = (location: string, bytes: string): void => {
    if (stopped) return;
    const { bucket, key } = s3Place(location);
    objects.put(bucket, key, Buffer.from(bytes));
  };

  const work = async (invocation: Invocation, fault: WorkFault | undefined): Promise<void> => {
    await Bun.sleep(options.workMs);
    if (fault?.kind === "lost-output" || fault?.kind === "expire") return;
    if (fault?.kind === "failure") {
      write(invocation.failureLocation, fault.message);
      return;
    }
    const answer = fault?.kind === "answer" ? { isGood: true, text: fault.body } : await answerOf(invocation);
    const location = answer.isGood ? invocation.outputLocation : invocation.failureLocation;
    if (fault?.kind === "late-output") later(fault.delayMs, () => write(location, answer.text));
    else write(location, answer.text);
  };

  const answerOf = async ({ body }: Invocation): Promise<{ isGood: boolean; text: string }> => {
    if (options.engine === undefined) return { isGood: true, text: madeUp(body, options.model) };
    const path = body.includes('"messages"') ? "/v1/chat/completions" : "/v1/completions";
    const headers = { "content-type": "application/json" };
    const answer = await fetch(options.engine + path, { method: "POST", headers, body });
    return { isGood: answer.ok, text: await answer.text() };
  };

  const workOff = (): void => {
    if (stopped) return;
    while (working < instances * options.concurrency) {
      const next = queue.shift();
      if (next === undefined) return;
      working += 1;
      void work(next.invocation, next.fault).finally(() => {
        working -= 1;
        workOff();
      });
    }
    if (instances > 0 || queue.length === 0 || isScaling) return;
    isScaling = true;
    later(options.scaleUpMs, () => {
      isScaling = false;
      instances = Math.max(instances, 1);
      workOff();
    });
  };

  return {
    invocations,
    invoke(name, { headers, body }, fault) {
      const said = (suffix: string): string | undefined => headers[prefix + suffix];
      const inputLocation = said("inputlocation");
      const refuse = (message: string): AwsAnswer => jsonError(400, "ValidationError", message);
      if (name !== options.endpoint) return refuse(`Endpoint ${name} of account 123456789012 not found.`);
      if ((inputLocation === undefined) === (body.byteLength === 0))
        return refuse("Exactly one of InputLocation and Body is needed.");
      if (body.byteLength > inlineBytesMost) return refuse(`Body is longer than ${inlineBytesMost} bytes.`);
      const inferenceId = said("inference-id") ?? crypto.randomUUID();
      const extension = said("s3outputpathextension") ?? "";
      const filename = said("filename") ?? `${inferenceId}.out`;
      const requestTtlSeconds = Number(said("requestttlseconds") ?? 21_600);
      const invocationTimeoutSeconds = Number(said("invocationtimeoutseconds") ?? 900);
      const isRight =
        /^[\x21-\x7e]{1,64}$/.test(inferenceId) &&
        /^[a-zA-Z0-9!_.*'()/-]{0,512}$/.test(extension) &&
        /^[^.]{1,32}$|^(?=.{1,32}$)[^.]*\.[^.]*$/.test(said("filename") ?? "x") &&
        isWithin(requestTtlSeconds, 60, 21_600) &&
        isWithin(invocationTimeoutSeconds, 1, 3600) &&
        /^[\x20-\x7e]{0,1024}$/.test(said("custom-attributes") ?? "");
      if (!isRight) return refuse("1 validation error detected: a header is out of its bounds.");
      const input = inputLocation === undefined ? body.toString("utf8") : read(objects, inputLocation);
      const outputLocation = joined(options.output, extension, filename);
      const failureLocation = joined(options.failure, `${inferenceId}-error.out`);
      const invocation: Invocation = {
        inferenceId,
        customAttributes: said("custom-attributes") ?? "",
        inputLocation,
        outputLocation,
        failureLocation,
        requestTtlSeconds,
        invocationTimeoutSeconds,
        body: input ?? "",
      };
      invocations.push(invocation);
      // Whether the input is there is found out when a machine takes it.
      const becomes: WorkFault | undefined =
        input === undefined ? { kind: "failure", message: "Unable to download the input: NoSuchKey" } : fault;
      queue.push({ invocation, fault: becomes });
      if (fault?.kind === "duplicate") queue.push({ invocation, fault: undefined });
      workOff();
      return {
        status: 202,
        headers: [
          ["content-type", "application/json"],
          [`${prefix}outputlocation`, outputLocation],
          [`${prefix}failurelocation`, failureLocation],
        ],
        body: JSON.stringify({ InferenceId: inferenceId }),
      };
    },
    describe({ body }) {
      const asked: unknown = JSON.parse(body.toString("utf8"));
      const name =
        typeof asked === "object" && asked !== null && "EndpointName" in asked ? asked.EndpointName : "";
      if (name !== options.endpoint)
        return jsonError(400, "ValidationException", `Could not find endpoint "${String(name)}".`);
      const described = {
        EndpointName: options.endpoint,
        EndpointStatus: "InService",
        ProductionVariants: [
          {
            VariantName: "AllTraffic",
            CurrentInstanceCount: instances,
            DesiredInstanceCount: isScaling ? 1 : instances,
          },
        ],
        AsyncInferenceConfig: {
          OutputConfig: { S3OutputPath: options.output, S3FailurePath: options.failure },
        },
      };
      return {
        status: 200,
        headers: [["content-type", "application/x-amz-json-1.1"]],
        body: JSON.stringify(described),
      };
    },
    scale(count) {
      instances = count;
      workOff();
    },
    stop() {
      stopped = true;
      queue = [];
      for (const timer of timers) clearTimeout(timer);
    },
  };
}

const isWithin = (value: number, least: number, most: number): boolean =>
  Number.isInteger(value) && value >= least && value <= most;

const joined = (...parts: readonly string[]): string =>
  parts
    .filter((part) => part !== "")
    .map((part) => part.replace(/\/+$/, ""))
    .join("/");

function read(objects: ObjectMemory, location: string): string | undefined {
  const { bucket, key } = s3Place(location);
  const object = objects.get(bucket, key);
  return object === undefined ? undefined : Buffer.from(object.bytes).toString("utf8");
}

const s3Place = (location: string): ReturnType<typeof placeOf> => placeOf(location.replace(/^s3:\//, ""));

/** Says back what was said last, so that a test can tell whose answer it is. */
function madeUp(body: string, model: string): string {
  const request: unknown = JSON.parse(body);
  const isChat = typeof request === "object" && request !== null && "messages" in request;
  const said = isChat && Array.isArray(request.messages) ? request.messages.at(-1)?.content : undefined;
  const prompt =
    typeof request === "object" && request !== null && "prompt" in request ? request.prompt : undefined;
  const text = `You said: ${String(said ?? prompt ?? "nothing")}`;
  const choice = isChat ? { message: { role: "assistant", content: text } } : { text };
  return JSON.stringify({
    id: `cmpl-${Bun.hash(body).toString(16)}`,
    object: isChat ? "chat.completion" : "text_completion",
    created: 1_767_225_600,
    model,
    choices: [{ index: 0, ...choice, logprobs: null, finish_reason: "stop" }],
    usage: { prompt_tokens: 4, completion_tokens: 4, total_tokens: 8 },
  });
}
