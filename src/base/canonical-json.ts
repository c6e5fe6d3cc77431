// One text for all JSON bodies that say the same: members in order at every depth, numbers and strings by value.

/** Deeper than anything that an engine takes; the walk must not exhaust the stack. */
const depthMost = 64;

/**
 * Of a parsed object. Undefined where texts that differ may have been parsed to the same value (integers beyond 2^53,
 * infinities), or where it is too deep. `without`: a member of the outermost object that does not count.
 */
export function canonicalJson(value: JsonObject, without?: string): string | undefined {
  const inOrder = orderedObject(value, depthMost, without);
  // Put in order here and written by the runtime: half the time of writing it here.
  return inOrder === inexact ? undefined : JSON.stringify(inOrder);
}

type JsonObject = Readonly<Record<string, unknown>>;

const inexact = Symbol("inexact");

/** The value itself where all of it is in order already. */
function ordered(value: unknown, depthLeft: number): unknown {
  if (typeof value === "number") return isExact(value) ? value : inexact;
  if (typeof value !== "object" || value === null) return value;
  if (depthLeft === 0) return inexact;
  if (Array.isArray(value)) return orderedArray(value, depthLeft);
  return isObject(value) ? orderedObject(value, depthLeft) : inexact;
}

function orderedArray(items: readonly unknown[], depthLeft: number): unknown {
  let copy: unknown[] | undefined;
  for (let index = 0; index < items.length; index += 1) {
    const item = items[index];
    const inOrder = ordered(item, depthLeft - 1);
    if (inOrder === inexact) return inexact;
    if (inOrder === item) continue;
    copy ??= [...items];
    copy[index] = inOrder;
  }
  return copy ?? items;
}

/** From z to a: `{role, content}` and `{type, function}`, of which bodies are full, need no copy then. */
function orderedObject(object: JsonObject, depthLeft: number, without?: string): unknown {
  let isInOrder = true;
  let before: string | undefined;
  let replaced: Map<string, unknown> | undefined;
  for (const name in object) {
    const member = object[name];
    const inOrder = ordered(member, depthLeft - 1);
    // A member called __proto__ would not become a member of a copy.
    if (inOrder === inexact || name === "__proto__") return inexact;
    if (inOrder !== member) replaced = (replaced ?? new Map()).set(name, inOrder);
    if (name === without || (before !== undefined && before < name)) isInOrder = false;
    before = name;
  }
  if (isInOrder && replaced === undefined) return object;

  const copy: Record<string, unknown> = {};
  for (const name of Object.keys(object).sort().reverse()) {
    if (name !== without) copy[name] = replaced?.get(name) ?? object[name];
  }
  return copy;
}

const isObject = (value: object): value is JsonObject => !Array.isArray(value);

/** Engines read integers of any length; a parsed one tells them apart only up to 2^53. Fractions are doubles there too. */
const isExact = (value: number): boolean =>
  Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value));
