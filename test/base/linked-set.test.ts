// A set that is also a queue.

import { expect, test } from "bun:test";
import fc from "fast-check";
import { createLinkedSet } from "../../src/base/linked-set.ts";

test("a linked set is JavaScript's own with a first and a last member, whatever happens to it", () => {
  const step = fc.record({ member: fc.nat(9), add: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const linked = createLinkedSet<number>();
      const model = new Set<number>();
      for (const { member, add } of steps) {
        if (add) {
          linked.add(member);
          model.add(member);
        } else {
          expect(linked.delete(member)).toBe(model.delete(member));
        }
        const all = [...model];
        expect([linked.size, linked.first, linked.last]).toEqual([all.length, all[0], all.at(-1)]);
      }
      for (const member of model) {
        expect(linked.first).toBe(member);
        linked.delete(member);
      }
      expect([linked.size, linked.first, linked.last]).toEqual([0, undefined, undefined]);
    }),
  );
});
