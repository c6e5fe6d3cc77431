// How much memory this process has resident. Bun needs a descriptor to find out, and fails where there is none left.

/** Then it is as much as it was when last asked. */
export function createResidentBytes(): () => number {
  let bytes = 0;
  return () => {
    try {
      bytes = process.memoryUsage.rss();
    } catch {
      // Bun's error has no code to tell it by, and nothing else can go wrong.
    }
    return bytes;
  };
}
