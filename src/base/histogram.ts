// A histogram over fixed bounds: observing is one search and two additions, no allocation.

export interface Histogram {
  readonly bounds: readonly number[];
  /** One count a bound, and one more for everything above the last. */
  readonly counts: Float64Array;
  sum: number;
  count: number;
}

/** `bounds` are the upper ends, ascending, each included in its bucket. */
export function createHistogram(bounds: readonly number[]): Histogram {
  return { bounds, counts: new Float64Array(bounds.length + 1), sum: 0, count: 0 };
}

export function observe(histogram: Histogram, value: number): void {
  observeMany(histogram, value, 1);
}

/** As many observations of one value. */
export function observeMany(histogram: Histogram, value: number, times: number): void {
  const index = bucketOf(histogram.bounds, value);
  histogram.counts[index] = (histogram.counts[index] ?? 0) + times;
  histogram.sum += value * times;
  histogram.count += times;
}

/** Multiplies every count, so that old observations lose weight. */
export function decay(histogram: Histogram, factor: number): void {
  for (let index = 0; index < histogram.counts.length; index += 1) {
    histogram.counts[index] = (histogram.counts[index] ?? 0) * factor;
  }
  histogram.sum *= factor;
  histogram.count *= factor;
}

/** The upper bound of the bucket in which the quantile lies, or undefined when nothing was observed. */
export function quantile(histogram: Histogram, q: number): number | undefined {
  if (histogram.count <= 0) return undefined;
  const rank = q * histogram.count;
  let seen = 0;
  for (let index = 0; index < histogram.bounds.length; index += 1) {
    seen += histogram.counts[index] ?? 0;
    if (seen >= rank) return histogram.bounds[index];
  }
  return histogram.bounds.at(-1);
}

function bucketOf(bounds: readonly number[], value: number): number {
  let low = 0;
  let high = bounds.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (value <= (bounds[middle] ?? 0)) high = middle;
    else low = middle + 1;
  }
  return low;
}
