// How loaded one engine is in its own router's words: part of the advert, and told with each answer as a hint.

/** The part that changes from moment to moment, and is told with each answer as well. */
export interface Load {
  /** Of its owner's clock, in whole milliseconds: tells two figures of one run apart, and nothing else. */
  readonly at: number;
  readonly inflight: number;
  readonly waiting: number;
  /** In whole percent. */
  readonly kvPercent: number | undefined;
  /** Median first byte of late, in whole milliseconds. */
  readonly firstByteMs: number | undefined;
}

/** Whether an engine takes new work, in its own router's eyes. */
export const engineStates = ["ok", "unhealthy", "silent", "open"] as const;
export type EngineState = (typeof engineStates)[number];

/** The value of `x-tierline-load`: five numbers, `-` for what is not known. */
export const loadHint = ({ at, inflight, waiting, kvPercent, firstByteMs }: Load): string =>
  `${at} ${inflight} ${waiting} ${kvPercent ?? "-"} ${firstByteMs ?? "-"}`;

export function readLoadHint(text: string): Load | undefined {
  if (text.length > 80) return undefined;
  const [at, inflight, waiting, kvPercent, firstByteMs] = text.split(" ").map((part) => {
    if (part === "-") return undefined;
    return /^\d{1,15}$/.test(part) ? Number(part) : Number.NaN;
  });
  return loadOf(at, inflight, waiting, kvPercent, firstByteMs);
}

export function loadOf(
  at: unknown,
  inflight: unknown,
  waiting: unknown,
  kvPercent: unknown,
  firstByteMs: unknown,
): Load | undefined {
  if (!isTime(at) || !isCount(inflight) || !isCount(waiting)) return undefined;
  if (!(kvPercent === undefined || (isCount(kvPercent) && kvPercent <= 100))) return undefined;
  if (!(firstByteMs === undefined || isCount(firstByteMs))) return undefined;
  return { at, inflight, waiting, kvPercent, firstByteMs };
}

/** No figure of an honest host is larger. */
const countMost = 1_000_000;

/** As an engine's own figure may travel: one that cannot be read would cost the whole engine. */
export const asCount = (figure: number): number => Math.min(countMost, Math.ceil(figure));

export const isTime = (value: unknown): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
export const isCount = (value: unknown): value is number => isTime(value) && value <= countMost;
