// How a caller's values appear in the errors that it reads: cut short, because what a caller sends has no end, and a
// batch may be wrong in every item.

const longest = 40;
const listed = 8;

export function inWords(value: unknown): string {
  if (typeof value === "string") return quoted(value);
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  return String(value);
}

export const quoted = (text: string): string =>
  text.length <= longest ? JSON.stringify(text) : `${JSON.stringify(text.slice(0, longest))}…`;

/** The first few of a list that may be long. */
export function few(names: readonly string[]): string {
  if (names.length <= listed) return names.join(", ");
  return `${names.slice(0, listed).join(", ")} and ${names.length - listed} more`;
}
