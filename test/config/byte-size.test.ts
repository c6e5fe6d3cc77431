import { expect, test } from "bun:test";
import { parseByteSize } from "../../src/config/byte-size.ts";

test.each([
  ["4MB", 4_000_000],
  ["4 mb", 4_000_000],
  ["4MiB", 4_194_304],
  ["64KB", 64_000],
  ["1GiB", 1_073_741_824],
  ["1.5kB", 1500],
  ["12", 12],
  ["12B", 12],
  [12, 12],
  [0, 0],
] as const)("parseByteSize reads %p as %p bytes", (written, bytes) => {
  expect(parseByteSize(written)).toBe(bytes);
});

test.each(["", "MB", "-1", "4TB", "1e6", "0.3B", "4MB4", -1, 1.5, Number.NaN, true, undefined])(
  "parseByteSize refuses %p",
  (written) => {
    expect(parseByteSize(written)).toBeUndefined();
  },
);
