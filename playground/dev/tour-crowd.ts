// The tour's crowd: guards who ask ten times a second, while the Gold engines hang, one and then both.

import type { CrowdFigures } from "./crowd.ts";
import { crowdRule, sourcesText, startCrowd } from "./crowd.ts";
import { duration } from "./screen.ts";
import type { Step } from "./telling.ts";
import { check, setFault } from "./telling.ts";

/** Figures are taken over so long. */
const crowdMs = 2000;

export const crowdDecides: Step = async ({ gold1, gold2 }, screen) => {
  screen.heading(`${crowdRule.guards} guards ask gold-1 "what now?" ten times a second, on one WebSocket`);
  screen.line("Each gets an action, whatever the Gold engines do. Look where it comes from:");
  screen.line("while one engine hangs, the peer's is asked; then memory, then the default.");
  const crowd = await startCrowd(gold1.publicUrl);
  try {
    const show = async (name: string): Promise<CrowdFigures> => {
      await Bun.sleep(crowdMs);
      const figures = crowd.figures(crowdMs);
      const rate = `${Math.round(figures.intentsPerSecond)}/s`;
      screen.paragraph(
        name,
        `${rate.padStart(6)}  p99 ${duration(figures.p99Ms).padStart(7)}  ${screen.bold(sourcesText(figures))}`,
      );
      return figures;
    };
    await show("first");
    await setFault(gold1.engine.controlUrl, { kind: "hang" });
    const one = await show("one hangs");
    await setFault(gold2.engine.controlUrl, { kind: "hang" });
    await show("both hang");
    const both = await show("");
    await setFault(gold1.engine.controlUrl, undefined);
    await setFault(gold2.engine.controlUrl, undefined);
    const last = await show("mended");
    const answered = [one, both, last].every(
      ({ sources, intentsPerSecond }) =>
        intentsPerSecond > 0 && sources.every(([source]) => source !== "no answer"),
    );
    return check(screen, answered, "every guard should have had an answer, engine or not");
  } finally {
    crowd.stop();
  }
};
