// Which question is asked next: first those that somebody waits for, the most urgent one ahead, then the others, the
// oldest ahead. Bounded. What a question is, and whether it is still worth asking, is not its business.

import type { Instant } from "../base/clock.ts";
import type { LinkedSet } from "../base/linked-set.ts";
import { createLinkedSet } from "../base/linked-set.ts";

/** Urgency is until when somebody waits for a question, in whole milliseconds. This is of one for which nobody does. */
export const unhurried: Instant = Number.POSITIVE_INFINITY;

export interface IntentQueue<Question> {
  readonly size: number;
  /** Of the most urgent. */
  readonly urgency: Instant;
  /** Answers which one had to go for it, perhaps itself. */
  put(question: Question, urgency: Instant): Question | undefined;
  /** `urgency`: the one that it has here. */
  remove(question: Question, urgency: Instant): void;
  /** It stays in. */
  next(): Question | undefined;
}

export function createIntentQueue<Question>(most: number): IntentQueue<Question> {
  /** By the millisecond, because there are few of these and thousands of questions. */
  const groups = new Map<Instant, LinkedSet<Question>>();
  /** The keys of `groups`, ascending. */
  const instants: Instant[] = [];
  let size = 0;

  const groupAt = (urgency: Instant): LinkedSet<Question> => {
    const known = groups.get(urgency);
    if (known !== undefined) return known;
    const group = createLinkedSet<Question>();
    groups.set(urgency, group);
    // From behind, for later questions mostly have later deadlines.
    let at = instants.length;
    while (at > 0 && (instants[at - 1] ?? 0) > urgency) at -= 1;
    instants.splice(at, 0, urgency);
    return group;
  };

  const remove = (question: Question, urgency: Instant): void => {
    const group = groups.get(urgency);
    if (group?.delete(question) !== true) return;
    size -= 1;
    if (group.size > 0) return;
    groups.delete(urgency);
    instants.splice(instants.indexOf(urgency), 1);
  };

  /** Makes room for one of this urgency: answers who went; undefined where all others matter more than it. */
  const crowdOut = (urgency: Instant): Question | undefined => {
    const last = instants.at(-1);
    if (last === undefined || (last !== unhurried && urgency >= last)) return undefined;
    const group = groups.get(last);
    // Of those that nobody waits for the oldest: the need for it is the oldest too.
    const least = last === unhurried ? group?.first : group?.last;
    if (least !== undefined) remove(least, last);
    return least;
  };

  return {
    get size() {
      return size;
    },
    get urgency() {
      return instants[0] ?? unhurried;
    },
    put(question, urgency) {
      let gone: Question | undefined;
      if (size >= most) {
        gone = crowdOut(urgency);
        if (gone === undefined) return question;
      }
      groupAt(urgency).add(question);
      size += 1;
      return gone;
    },
    remove,
    next() {
      return instants[0] === undefined ? undefined : groups.get(instants[0])?.first;
    },
  };
}
