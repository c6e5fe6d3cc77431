// Sizes as people write them: "4MB" is 4,000,000 bytes, "4MiB" is 4,194,304, a bare number is bytes.

const units: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ["b", 1],
  ["kb", 1000],
  ["mb", 1000 ** 2],
  ["gb", 1000 ** 3],
  ["kib", 1024],
  ["mib", 1024 ** 2],
  ["gib", 1024 ** 3],
]);

/** Bytes, or undefined for what is no whole, non-negative size. */
export function parseByteSize(written: unknown): number | undefined {
  if (typeof written === "number") return Number.isSafeInteger(written) && written >= 0 ? written : undefined;
  if (typeof written !== "string") return undefined;
  const [, amount, unit] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(written.trim()) ?? [];
  const factor = units.get((unit ?? "").toLowerCase());
  if (amount === undefined || factor === undefined) return undefined;
  const bytes = Number(amount) * factor;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
