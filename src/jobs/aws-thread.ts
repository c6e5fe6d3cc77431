// AWS at arm's length: the SDK works for a millisecond or two at each call, and does so in a thread of its own, for which
// the loop that answers players never waits. Here are both ends of the wire; the thread itself is the roof's.

import type { AsyncAnswer, AsyncCall, Aws, EndpointAnswer } from "./aws.ts";
import type {
  CallTrouble,
  ObjectPlace,
  ObjectRead,
  ObjectsListed,
  ObjectWritten,
  PutCondition,
} from "./objects.ts";

type Ask =
  | { readonly kind: "look"; readonly place: ObjectPlace }
  | { readonly kind: "get"; readonly place: ObjectPlace; readonly bytesMost: number }
  | {
      readonly kind: "put";
      readonly place: ObjectPlace;
      readonly bytes: Uint8Array;
      readonly condition: PutCondition;
    }
  | { readonly kind: "list"; readonly prefix: ObjectPlace; readonly after: string | undefined }
  | { readonly kind: "invoke"; readonly call: AsyncCall }
  | { readonly kind: "describe"; readonly name: string };

type Answered =
  | { readonly kind: "look"; readonly answer: boolean }
  | { readonly kind: "get"; readonly answer: ObjectRead }
  | { readonly kind: "put"; readonly answer: ObjectWritten }
  | { readonly kind: "list"; readonly answer: ObjectsListed }
  | { readonly kind: "invoke"; readonly answer: AsyncAnswer }
  | { readonly kind: "describe"; readonly answer: EndpointAnswer }
  /** It threw, which is a bug. */
  | { readonly kind: "broke"; readonly why: string };

/** `n`: which call, by the caller's count. */
export type ToAws = { readonly n: number } & (Ask | { readonly kind: "cut" });
export type FromAws = { readonly n: number } & Answered;

/** The caller's end of a thread. */
export interface AwsPort {
  post(message: ToAws): void;
  end(): void;
}

export interface AwsPortEvents {
  told(message: FromAws): void;
  /** Nothing that it was asked will be answered. */
  died(why: string): void;
}

/** `open`: starts a thread, for the first call, and for the first after a death. */
export function awsInThread(open: (events: AwsPortEvents) => AwsPort): Aws {
  /** By call: takes an answer of any kind, and knows its own. */
  const waiting = new Map<number, (answered: Answered | CallTrouble) => void>();
  let port: AwsPort | undefined;
  let isClosed = false;
  let asked = 0;

  const fail = (why: string): void => {
    for (const take of [...waiting.values()]) take({ kind: "trouble", trouble: "server", why });
  };

  const openPort = (): AwsPort => {
    const opened = open({
      told({ n, ...answered }) {
        waiting.get(n)?.(answered);
      },
      died(why) {
        // A death may be told twice, and what waits now was asked of the next thread.
        if (port !== opened) return;
        port = undefined;
        fail(why);
      },
    });
    return opened;
  };

  /** `ours`: the answer, where it is of the kind that was asked for. */
  const call = <Answer>(
    ask: Ask,
    ours: (answered: Answered) => Answer | undefined,
    signal: AbortSignal,
  ): Promise<Answer | CallTrouble> =>
    new Promise((resolve, reject) => {
      asked += 1;
      const n = asked;
      const cut = (): void => {
        port?.post({ n, kind: "cut" });
        take({ kind: "trouble", trouble: "cut", why: "cut short" });
      };
      const take = (answered: Answered | CallTrouble): void => {
        waiting.delete(n);
        signal.removeEventListener("abort", cut);
        if (answered.kind === "trouble") resolve(answered);
        else if (answered.kind === "broke") reject(new Error(answered.why));
        else {
          const answer = ours(answered);
          if (answer === undefined)
            reject(new Error(`the AWS thread answered ${answered.kind} to ${ask.kind}`));
          else resolve(answer);
        }
      };
      if (signal.aborted) {
        resolve({ kind: "trouble", trouble: "cut", why: "cut short before it was sent" });
        return;
      }
      if (isClosed) {
        resolve({ kind: "trouble", trouble: "server", why: closedWhy });
        return;
      }
      signal.addEventListener("abort", cut);
      waiting.set(n, take);
      port ??= openPort();
      port.post({ n, ...ask });
    });

  return {
    objects: {
      async isSurelyMissing(place, signal) {
        const told = await call(
          { kind: "look", place },
          (said) => (said.kind === "look" ? said.answer : undefined),
          signal,
        );
        // Trouble is no word about the object.
        return told === true;
      },
      get: (place, bytesMost, signal) =>
        call(
          { kind: "get", place, bytesMost },
          (said) => (said.kind === "get" ? said.answer : undefined),
          signal,
        ),
      put: (place, bytes, condition, signal) =>
        call(
          { kind: "put", place, bytes: own(bytes), condition },
          (said) => (said.kind === "put" ? said.answer : undefined),
          signal,
        ),
      list: (prefix, after, signal) =>
        call(
          { kind: "list", prefix, after },
          (said) => (said.kind === "list" ? said.answer : undefined),
          signal,
        ),
    },
    invokeAsync: ({ input, ...rest }, signal) =>
      call(
        {
          kind: "invoke",
          call: { ...rest, input: "body" in input ? { body: own(input.body) } : input },
        },
        (said) => (said.kind === "invoke" ? said.answer : undefined),
        signal,
      ),
    describeEndpoint: (name, signal) =>
      call(
        { kind: "describe", name },
        (said) => (said.kind === "describe" ? said.answer : undefined),
        signal,
      ),
    close() {
      isClosed = true;
      port?.end();
      port = undefined;
      fail(closedWhy);
    },
  };
}

const closedWhy = "The router stops, and speaks to AWS no more.";

/** A view of a part takes all that it is a part of along. */
const own = (bytes: Uint8Array): Uint8Array =>
  bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes);

/** The thread's end: does what it is asked, and says what came of it. */
export function answerForAws(aws: Aws, post: (message: FromAws) => void): (message: ToAws) => void {
  const underWay = new Map<number, AbortController>();

  const act = async (ask: Ask, signal: AbortSignal): Promise<Answered> => {
    const { objects } = aws;
    switch (ask.kind) {
      case "look":
        return { kind: "look", answer: await objects.isSurelyMissing(ask.place, signal) };
      case "get":
        return { kind: "get", answer: await objects.get(ask.place, ask.bytesMost, signal) };
      case "put":
        return { kind: "put", answer: await objects.put(ask.place, ask.bytes, ask.condition, signal) };
      case "list":
        return { kind: "list", answer: await objects.list(ask.prefix, ask.after, signal) };
      case "invoke":
        return { kind: "invoke", answer: await aws.invokeAsync(ask.call, signal) };
      case "describe":
        return { kind: "describe", answer: await aws.describeEndpoint(ask.name, signal) };
    }
  };

  return ({ n, ...ask }) => {
    if (ask.kind === "cut") {
      underWay.get(n)?.abort();
      return;
    }
    const cut = new AbortController();
    underWay.set(n, cut);
    const told = (answered: Answered): void => {
      underWay.delete(n);
      post({ n, ...answered });
    };
    act(ask, cut.signal).then(told, (error: unknown) =>
      told({ kind: "broke", why: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
    );
  };
}
