// Many things to do, and only so many of them at a time.

/** In the order of `items`, at most `most` under way. Rejects as soon as one does; the others begin no more. */
export async function someAtOnce<Item>(
  items: readonly Item[],
  most: number,
  work: (item: Item) => Promise<unknown>,
): Promise<void> {
  const rest = items.values();
  let isBroken = false;
  const worker = async (): Promise<void> => {
    for (const item of rest) {
      if (isBroken) return;
      try {
        await work(item);
      } catch (error) {
        isBroken = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(most, items.length) }, worker));
}
