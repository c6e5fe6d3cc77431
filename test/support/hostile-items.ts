// What a broken or malicious client may send as one item of a JSON request, as text: any JSON at all, and items that
// are nearly right. Text, because only JSON.parse makes an own "__proto__", and because names may come twice.

import fc from "fast-check";
import type { Archetypes } from "../../src/intents/archetype.ts";

export function hostileItem({ all }: Archetypes): fc.Arbitrary<string> {
  const odd = fc.oneof(
    fc.json(),
    fc.constantFrom("-0", "-1", "1e999", "9007199254740993", '""', '"__proto__"', "[]", "{}", "null"),
  );
  const oddName = fc.oneof(fc.constantFrom("__proto__", "constructor", "hasOwnProperty", ""), fc.string());
  const text = (arbitrary: fc.Arbitrary<unknown>) => arbitrary.map((value) => JSON.stringify(value));
  const archetype = text(fc.constantFrom(...all.map(({ name }) => name)));
  const feature = fc.constantFrom(...all.flatMap((one) => [...one.places.keys()]));
  const value = fc.oneof(
    text(fc.double({ noNaN: true, noDefaultInfinity: true })),
    text(fc.boolean()),
    text(fc.constantFrom("clear", "rain", "fog")),
  );
  const features = objectText(fc.tuple(feature, value), fc.tuple(feature, odd), fc.tuple(oddName, value));
  const near = objectText(
    fc.tuple(fc.constant("archetype"), archetype),
    fc.tuple(fc.constant("features"), features),
    fc.tuple(fc.constant("npc"), text(fc.oneof(fc.nat(), fc.string()))),
    fc.tuple(fc.constant("deadline_ms"), text(fc.nat())),
    fc.tuple(fc.constant("explain"), text(fc.boolean())),
    fc.tuple(fc.constantFrom("archetype", "features", "npc", "deadline_ms", "explain"), odd),
    fc.tuple(oddName, odd),
  );
  return fc.oneof({ weight: 1, arbitrary: odd }, { weight: 5, arbitrary: near });
}

const objectText = (
  ...members: readonly fc.Arbitrary<[name: string, json: string]>[]
): fc.Arbitrary<string> =>
  fc
    .array(fc.oneof(...members), { maxLength: 8 })
    .map((list) => `{${list.map(([name, json]) => `${JSON.stringify(name)}:${json}`).join()}}`);
