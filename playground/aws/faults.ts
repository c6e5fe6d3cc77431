// What can go wrong in the stand-in for AWS, as data, and which call it strikes. The rest of the folder acts on it.

export const awsOperations = ["invoke", "describe", "get", "put", "list"] as const;

export type AwsOperation = (typeof awsOperations)[number];

/** Where and how often a fault acts. */
interface FaultScope {
  /** Default: invoke. */
  readonly on?: AwsOperation;
  /** Only objects whose key holds this, or endpoints whose name does. */
  readonly naming?: string;
  /** Acts this many times, then is spent. Default: until cleared. */
  readonly times?: number;
}

type CallFault =
  | { readonly kind: "status"; readonly status: number; readonly code?: string }
  | { readonly kind: "throttle" }
  | { readonly kind: "slow"; readonly delayMs: number }
  /** Says nothing until cleared. */
  | { readonly kind: "hang" }
  /** The answer's body ends half-way. */
  | { readonly kind: "truncate" }
  /** One byte of an object is not the one that its checksum is of. */
  | { readonly kind: "spoil" }
  /** RST, and nothing was done. */
  | { readonly kind: "reset" }
  /** Does what was asked, then RST: the caller cannot know. */
  | { readonly kind: "accept-then-reset" }
  /** The same with a 500. */
  | { readonly kind: "accept-then-500" };

/** What becomes of a job that was accepted. */
export type WorkFault =
  /** Neither an output nor a failure, ever. */
  | { readonly kind: "lost-output" }
  | { readonly kind: "late-output"; readonly delayMs: number }
  | { readonly kind: "failure"; readonly message: string }
  /** Leaves the queue as if its time there had passed. */
  | { readonly kind: "expire" }
  /** Delivered and worked on twice. */
  | { readonly kind: "duplicate" }
  /** The container answers these bytes. */
  | { readonly kind: "answer"; readonly body: string };

export type AwsFault = (CallFault | WorkFault) & FaultScope;

const workKinds = ["lost-output", "late-output", "failure", "expire", "duplicate", "answer"] as const;
const callKinds = [
  "status",
  "throttle",
  "slow",
  "hang",
  "truncate",
  "spoil",
  "reset",
  "accept-then-reset",
  "accept-then-500",
] as const;
const kinds: ReadonlySet<string> = new Set([...workKinds, ...callKinds] satisfies AwsFault["kind"][]);

/** Only the kind is checked: whoever breaks AWS on purpose may also get a field wrong. */
export const isAwsFault = (value: unknown): value is AwsFault =>
  typeof value === "object" && value !== null && "kind" in value && kinds.has(String(value.kind));

const isWork = (fault: AwsFault): fault is WorkFault & FaultScope =>
  workKinds.some((kind) => kind === fault.kind);

const isCall = (fault: AwsFault): fault is CallFault & FaultScope => !isWork(fault);

export interface AwsFaultPlan {
  /** Replaces all faults. */
  set(faults: readonly AwsFault[]): void;
  current(): readonly AwsFault[];
  /** The one that strikes this call, counted against its `times`. */
  strikeCall(operation: AwsOperation, name: string): CallFault | undefined;
  strikeWork(endpoint: string): WorkFault | undefined;
}

export function createAwsFaultPlan(): AwsFaultPlan {
  let plan: { readonly fault: AwsFault; left: number }[] = [];

  const take = <Wanted extends AwsFault>(
    is: (fault: AwsFault) => fault is Wanted,
    operation: AwsOperation,
    name: string,
  ): Wanted | undefined => {
    for (const row of plan) {
      const { fault } = row;
      if (row.left <= 0 || !is(fault)) continue;
      if ((fault.on ?? "invoke") !== operation || !name.includes(fault.naming ?? "")) continue;
      row.left -= 1;
      return fault;
    }
    return undefined;
  };

  return {
    set(faults) {
      plan = faults.map((fault) => ({ fault, left: fault.times ?? Number.POSITIVE_INFINITY }));
    },
    current: () => plan.filter(({ left }) => left > 0).map(({ fault }) => fault),
    strikeCall: (operation, name) => take(isCall, operation, name),
    strikeWork: (endpoint) => take(isWork, "invoke", endpoint),
  };
}
