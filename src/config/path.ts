// Paths into the configuration, and the small tree that they lead through.

/** Where a value stands: `["engine", 0, "url"]`. */
export type Path = readonly (string | number)[];

/** A TOML table. Made without a prototype, so that no key can be mistaken for one of Object's own. */
export type Table = { [key: string]: unknown };

export const newTable = (): Table => Object.create(null);

export const isTable = (value: unknown): value is Table =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);

/** As one would write it in TOML: `engine[0].url`, `aliases."gpt-4.1".tier`. Unambiguous, so it is a key as well. */
export function pathText(path: Path): string {
  let text = "";
  for (const part of path) {
    if (typeof part === "number") text += `[${part}]`;
    else text += text === "" ? keyText(part) : `.${keyText(part)}`;
  }
  return text;
}

/** A key bare where TOML allows it, else quoted. */
export const keyText = (key: string): string => (/^[A-Za-z0-9_-]+$/.test(key) ? key : JSON.stringify(key));

export function valueAt(tree: unknown, path: Path): unknown {
  let node = tree;
  for (const part of path) {
    if (Array.isArray(node) && typeof part === "number") node = node[part];
    else if (isTable(node) && typeof part === "string") node = node[part];
    else return undefined;
  }
  return node;
}

/** Sets a value, making the tables on the way; false when something else stands where a table should. */
export function setAt(tree: Table, path: Path, value: unknown): boolean {
  const parent = path.slice(0, -1).reduce<unknown>((node, part) => childTable(node, part), tree);
  const last = path.at(-1);
  if (Array.isArray(parent) && typeof last === "number") parent[last] = value;
  else if (isTable(parent) && typeof last === "string") parent[last] = value;
  else return false;
  return true;
}

export function removeAt(tree: Table, path: Path): void {
  const parent = valueAt(tree, path.slice(0, -1));
  const last = path.at(-1);
  if (isTable(parent) && typeof last === "string") delete parent[last];
  else if (Array.isArray(parent) && typeof last === "number") parent.splice(last, 1);
}

function childTable(node: unknown, part: string | number): unknown {
  if (Array.isArray(node) && typeof part === "number") {
    node[part] ??= newTable();
    return node[part];
  }
  if (!isTable(node) || typeof part !== "string") return undefined;
  node[part] ??= newTable();
  return node[part];
}
