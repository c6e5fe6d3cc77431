// For measurements on a machine that others use as well.

/** The first figures that are good, else the last: other work may spoil a measurement, and does not spoil five. */
export async function measuredUndisturbed<T>(
  measure: () => Promise<T>,
  isGood: (figures: T) => boolean,
): Promise<T> {
  let figures = await measure();
  for (let again = 0; again < 4 && !isGood(figures); again += 1) figures = await measure();
  return figures;
}
