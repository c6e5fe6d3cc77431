// The name of a job: `job_<member>_<ULID>`. It sorts by age among the jobs of one host and says which host that is.

import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";

/** Crockford's: no I, L, O, U. */
const digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

const timeDigits = 10;
const diceDigits = 16;
const ulidLength = timeDigits + diceDigits;

/** The first digit holds three bits: 10 · 5 = 50 bits for a time of 48. */
const shape = /^job_(.+)_([0-7][0-9A-HJKMNP-TV-Z]{25})$/;

/** Ids that rise with every call, also within one millisecond and where the wall clock steps back. */
export function createJobIds(member: string, clock: Clock, random: Random): () => string {
  let lastMs = -1;
  let dice: number[] = [];

  return () => {
    const wallMs = Math.floor(clock.wallMs());
    if (wallMs > lastMs) {
      lastMs = wallMs;
      dice = Array.from({ length: diceDigits }, () => Math.floor(random() * digits.length));
    } else if (!addOne(dice)) {
      // 80 bits have run over: the next millisecond is borrowed.
      lastMs += 1;
      dice = dice.map(() => 0);
    }
    return `job_${member}_${timeText(lastMs)}${dice.map((digit) => digits[digit]).join("")}`;
  };
}

/** Undefined where the text is no id of ours. */
export function readJobId(id: string): { readonly member: string; readonly ulid: string } | undefined {
  const [, member, ulid] = shape.exec(id) ?? [];
  return member === undefined || ulid === undefined ? undefined : { member, ulid };
}

/**
 * A job's trace is its own, for its caller has long had an answer: a ULID has just as many bits as a trace, and an attempt
 * is a span.
 */
export const jobTraceparent = ({ id, attempt }: { readonly id: string; readonly attempt: number }): string =>
  `00-${ulidHex(ulidOf(id))}-${attempt.toString(16).padStart(16, "0")}-01`;

/** The 128 bits of a ULID, as 32 hexadecimal digits. */
function ulidHex(ulid: string): string {
  let bits = 0n;
  for (const digit of ulid) bits = bits * 32n + BigInt(digits.indexOf(digit));
  return bits.toString(16).padStart(2 * diceDigits, "0");
}

export const ulidOf = (id: string): string => id.slice(-ulidLength);

/** For `sort`: by age, whoever named them. */
export const newestFirst = (one: { readonly id: string }, other: { readonly id: string }): number =>
  ulidOf(one.id) < ulidOf(other.id) ? 1 : -1;

/** False where all digits were at their end. */
function addOne(dice: number[]): boolean {
  for (let index = dice.length - 1; index >= 0; index -= 1) {
    const digit = dice[index] ?? 0;
    if (digit + 1 < digits.length) {
      dice[index] = digit + 1;
      dice.fill(0, index + 1);
      return true;
    }
  }
  return false;
}

/** The first ten digits: ids of earlier times sort before it. */
export function timeText(ms: number): string {
  let text = "";
  for (let left = ms; text.length < timeDigits; left = Math.floor(left / digits.length)) {
    text = (digits[left % digits.length] ?? "") + text;
  }
  return text;
}
