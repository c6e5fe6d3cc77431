// Waits for something that nobody announces.

/** Asks `holds` until it does; false where it does not in time. */
export async function until(holds: () => Promise<boolean>, withinMs: number): Promise<boolean> {
  const from = performance.now();
  while (!(await holds())) {
    if (performance.now() - from > withinMs) return false;
    await Bun.sleep(50);
  }
  return true;
}
