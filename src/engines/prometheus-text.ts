// Reads a few series out of a Prometheus exposition without parsing the rest: an engine's page is 60 kB.

/** Adds up a series over its labels, because a data-parallel engine has one row a rank. */
export function sumOf(text: string, ...names: readonly string[]): number | undefined {
  return samplesOf(text, names)?.reduce((sum, value) => sum + value, 0);
}

/** The largest value of a series, for ratios: the fullest rank is the one that hurts. */
export function maxOf(text: string, ...names: readonly string[]): number | undefined {
  return samplesOf(text, names)?.reduce((largest, value) => Math.max(largest, value));
}

/** The finite samples of the first of `names` that has any. Later names are older spellings of the same thing. */
function samplesOf(text: string, names: readonly string[]): readonly number[] | undefined {
  for (const name of names) {
    const samples: number[] = [];
    for (let at = text.indexOf(name); at >= 0; at = text.indexOf(name, at + name.length)) {
      const value = sampleAt(text, at, at + name.length);
      if (value !== undefined) samples.push(value);
    }
    if (samples.length > 0) return samples;
  }
  return undefined;
}

/** The sample of the row that starts at `start` with a name up to `nameEnd`, if that is what is there. */
function sampleAt(text: string, start: number, nameEnd: number): number | undefined {
  const startsRow = start === 0 || text[start - 1] === "\n";
  if (!startsRow) return undefined;
  const valueStart = text[nameEnd] === "{" ? afterLabels(text, nameEnd) : nameEnd;
  // Anything else here is a longer name, such as `…_bucket`.
  if (text[valueStart] !== " ") return undefined;
  const value = Number(/\S+/.exec(text.slice(valueStart, valueStart + 40))?.[0] ?? "NaN");
  return Number.isFinite(value) ? value : undefined;
}

/** The index after the closing brace; a brace or a quote inside a label's value does not count. */
function afterLabels(text: string, open: number): number {
  let quoted = false;
  for (let index = open + 1; index < text.length; index += 1) {
    const char = text[index];
    if (char === "\n") break;
    if (quoted && char === "\\") index += 1;
    else if (char === '"') quoted = !quoted;
    else if (char === "}" && !quoted) return index + 1;
  }
  return text.length;
}
