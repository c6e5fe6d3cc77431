// For measurements on a machine that others use as well.

/** A machine that has other things to do may spoil a measurement; it does not spoil five. */
export async function measuredOnce<T>(
  measure: () => Promise<T>,
  isGood: (figures: T) => boolean,
): Promise<T> {
  let figures = await measure();
  for (let again = 0; again < 4 && !isGood(figures); again += 1) figures = await measure();
  return figures;
}
