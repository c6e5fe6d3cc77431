// One timer for all who have the same deadline: a batch of a thousand must not cost a thousand timers.

import type { Clock, Instant } from "../base/clock.ts";

export interface DeadlineGroups<Item> {
  /** Items whose deadline has not come. */
  readonly size: number;
  /** In the group of that very instant: round it, or each item gets a timer of its own. */
  add(item: Item, deadline: Instant): void;
  remove(item: Item, deadline: Instant): void;
}

/** `due` gets all items of a deadline when it has come; they are out of here by then. */
export function createDeadlineGroups<Item>(
  clock: Clock,
  due: (items: ReadonlySet<Item>) => void,
): DeadlineGroups<Item> {
  const groups = new Map<Instant, { readonly items: Set<Item>; readonly cancelTimer: () => void }>();
  let size = 0;

  const begin = (deadline: Instant) => {
    const items = new Set<Item>();
    const cancelTimer = clock.after(deadline - clock.now(), () => {
      groups.delete(deadline);
      size -= items.size;
      due(items);
    });
    const group = { items, cancelTimer };
    groups.set(deadline, group);
    return group;
  };

  return {
    get size() {
      return size;
    },
    add(item, deadline) {
      (groups.get(deadline) ?? begin(deadline)).items.add(item);
      size += 1;
    },
    remove(item, deadline) {
      const group = groups.get(deadline);
      if (group?.items.delete(item) !== true) return;
      size -= 1;
      if (group.items.size > 0) return;
      group.cancelTimer();
      groups.delete(deadline);
    },
  };
}
