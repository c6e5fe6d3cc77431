// A state directory of a test's own, gone after the test.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StateDir } from "../../src/host/state-dir.ts";
import { openStateDir } from "../../src/host/state-dir.ts";

export interface StatePlace {
  readonly dir: string;
  readonly state: StateDir;
  stop(): void;
}

export function statePlace(): StatePlace {
  const dir = mkdtempSync(join(tmpdir(), "tierline-state-"));
  const opened = openStateDir(dir);
  if (!opened.ok) throw new Error(opened.message);
  const { state } = opened;
  return {
    dir,
    state,
    stop() {
      state.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
