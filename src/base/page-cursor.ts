// Where a page of a cache's entries ended: the last key, and the use that put it there. Uses rise, so that they give all
// entries one order; the next page begins below that use, and whatever is used meanwhile is ahead of it. So pages end.

export const cursorText = (key: string, use: number): string => `${key}@${use}`;

/**
 * The use below which the page after `cursor` begins. A bare key will do while its entry stays where it is; where it is
 * gone, or was none, nothing comes after it.
 */
export function useBelow(cursor: string | undefined, useOf: (key: string) => number | undefined): number {
  if (cursor === undefined) return Number.POSITIVE_INFINITY;
  const use = /@(\d{1,16})$/.exec(cursor)?.[1];
  return use === undefined ? (useOf(cursor) ?? 0) : Number(use);
}
