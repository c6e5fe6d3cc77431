// All entries of several LRUs in one order, the most recently used first: each LRU has its own order already, and the
// number of the last use tells whose turn it is.

import type { Lru } from "./entry-shards.ts";

/** Shows the entries whose last use is below `below`, until `seen` says false. Nothing may change meanwhile. */
export function byUse(
  lrus: readonly (Lru | undefined)[],
  useAt: (slot: number) => number,
  below: number,
  seen: (key: number, slot: number) => boolean,
): void {
  const rows = lrus.flatMap((lru) => (lru === undefined ? [] : [lru.entries()]));
  // What each would show next, and its use: there are few of them, and a scan is quicker than a heap.
  const keys = new Float64Array(rows.length);
  const slots = new Uint32Array(rows.length);
  const uses = new Float64Array(rows.length);

  const advance = (row: number): void => {
    const entries = rows[row];
    for (;;) {
      const step = entries?.next();
      if (step === undefined || step.done === true) {
        uses[row] = -1;
        return;
      }
      const [key, slot] = step.value;
      const use = useAt(slot);
      if (use >= below) continue;
      keys[row] = key;
      slots[row] = slot;
      uses[row] = use;
      return;
    }
  };

  for (let row = 0; row < rows.length; row += 1) advance(row);
  for (;;) {
    let latest = -1;
    let use = -1;
    for (let row = 0; row < uses.length; row += 1) {
      const its = uses[row] ?? -1;
      if (its <= use) continue;
      latest = row;
      use = its;
    }
    if (latest < 0 || !seen(keys[latest] ?? 0, slots[latest] ?? 0)) return;
    advance(latest);
  }
}
