// Only whole events go out, and all bytes do.

import { expect, test } from "bun:test";
import fc from "fast-check";
import { createWholeEvents } from "../../src/dispatch/whole-events.ts";

test("in whatever pieces a stream comes, what goes out are whole events, and with the rest every byte in order", () => {
  const event = fc.string({ maxLength: 20 }).map((text) => `data: ${JSON.stringify(text)}`);
  const cuts = fc.array(fc.nat(500), { maxLength: 20 });
  fc.assert(
    fc.property(
      fc.array(event, { maxLength: 8 }),
      fc.constantFrom("\n\n", "\r\n\r\n"),
      cuts,
      (events, br, at) => {
        const bytes = Buffer.from(`${events.map((each) => each + br).join("")}data: half`);
        const places = [...new Set(at.map((place) => 1 + (place % (bytes.length - 1))))].sort(
          (a, b) => a - b,
        );
        const pieces = [0, ...places].map((from, index) =>
          bytes.subarray(from, places[index] ?? bytes.length),
        );
        const whole = createWholeEvents();
        const out: Uint8Array[] = [];
        for (const piece of pieces) {
          const pushed = whole.push(piece);
          if (pushed === undefined) continue;
          expect(Buffer.from(pushed).toString()).toEndWith(br);
          out.push(pushed);
        }
        out.push(whole.rest() ?? new Uint8Array());
        expect(Buffer.concat(out).toString()).toBe(bytes.toString());
      },
    ),
  );
});
