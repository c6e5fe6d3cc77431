// How often each job has failed, of the jobs that failed last: most of them will come again, and some never do.

export interface FailureCounts {
  /** Once more; how often it is now. */
  count(id: string): number;
  forget(id: string): void;
}

/** `most`: jobs; of more, the one is forgotten that has not failed for longest. */
export function createFailureCounts(most: number): FailureCounts {
  const counts = new Map<string, number>();
  return {
    count(id) {
      const times = (counts.get(id) ?? 0) + 1;
      counts.delete(id);
      counts.set(id, times);
      const [oldest] = counts.keys();
      if (counts.size > most && oldest !== undefined) counts.delete(oldest);
      return times;
    },
    forget: (id) => void counts.delete(id),
  };
}
