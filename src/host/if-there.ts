// Files that not every machine has, /proc and /sys: without them nothing is known, and that is no error.

const noneLeft = new Set<unknown>(["EMFILE", "ENFILE"]);

/** Reading needs a descriptor: `otherwise` is the answer where there is none left. */
export function ifThere<T>(read: () => T, otherwise?: T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof Error && "code" in error) return noneLeft.has(error.code) ? otherwise : undefined;
    throw error;
  }
}
