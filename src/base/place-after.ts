// Where one more belongs in an ascending list, behind all that weigh as much.

export function placeAfter<T>(sorted: readonly T[], weight: number, weightOf: (each: T) => number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const other = sorted[middle];
    if (other !== undefined && weightOf(other) <= weight) low = middle + 1;
    else high = middle;
  }
  return low;
}
