// Files that not every machine has, /proc and /sys: without them nothing is known, and that is no error.

/** Undefined too where reading needs a descriptor and there is none left. */
export function ifThere<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof Error && "code" in error) return undefined;
    throw error;
  }
}
