// Virtual time for whole fleets: a heap of events, the earliest first and equals in the order they were set.
// virtual-clock.ts looks through all timers for the next; with 500 hosts that would be the whole run.

export interface EventQueue {
  readonly now: number;
  /** Events that have run; with the seed it names a moment of a run. */
  readonly count: number;
  /** Answers what cancels it. */
  at(instant: number, action: () => void): () => void;
  /** Runs the next event that is not later than `end`; false where there is none, and it is `end` then. */
  step(end: number): boolean;
}

interface Event {
  readonly at: number;
  readonly order: number;
  action: (() => void) | undefined;
}

export function createEventQueue(start: number): EventQueue {
  const heap: Event[] = [];
  let now = start;
  let order = 0;
  let count = 0;

  const before = (a: Event, b: Event): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

  const push = (event: Event): void => {
    let index = heap.length;
    heap.push(event);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || before(above, event)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = event;
  };

  const pop = (): void => {
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      const left = heap[2 * index + 1];
      const right = heap[2 * index + 2];
      if (left === undefined) break;
      const [child, at] =
        right !== undefined && before(right, left) ? [right, 2 * index + 2] : [left, 2 * index + 1];
      if (before(last, child)) break;
      heap[index] = child;
      index = at;
    }
    heap[index] = last;
  };

  return {
    get now() {
      return now;
    },
    get count() {
      return count;
    },
    at(instant, action) {
      const event: Event = { at: Math.max(now, instant), order, action };
      order += 1;
      push(event);
      return () => {
        event.action = undefined;
      };
    },
    step(end) {
      for (;;) {
        const next = heap[0];
        if (next === undefined || next.at > end) {
          now = Math.max(now, end);
          return false;
        }
        pop();
        if (next.action === undefined) continue;
        now = next.at;
        count += 1;
        next.action();
        return true;
      }
    },
  };
}
