// What one engine says that it serves: asked on the prober's beat, and at once where somebody has cause to think that it
// is something else by now.

import type { Ask } from "./ask.ts";
import type { Dialect } from "./dialect.ts";

const modelListRule = { timeoutMs: 2000 } as const;

interface ModelListOptions {
  readonly dialect: Pick<Dialect, "models">;
  readonly ask: Ask;
  /** Each list that differs from the last, and the first. */
  onModels(models: readonly string[]): void;
}

/** Both resolve when the answer, if there is one, has been reported; to who comes meanwhile it is told as well. */
export interface ModelList {
  ask(): Promise<void>;
  /** By a question that is put after the call, or shared with others who called so. */
  askAnew(): Promise<void>;
}

export function createModelList(options: ModelListOptions, over: AbortSignal): ModelList {
  const { path, read } = options.dialect.models;
  let models: readonly string[] | undefined;
  let asking: Promise<void> | undefined;
  let askingAnew: Promise<void> | undefined;

  const list = async (): Promise<void> => {
    const answer = await options.ask({ method: "GET", path, timeoutMs: modelListRule.timeoutMs }, over);
    const listed = "status" in answer ? read(answer.status, answer.body) : undefined;
    if (listed === undefined || over.aborted || sameList(listed, models)) return;
    models = listed;
    options.onModels(listed);
  };

  const ask = (): Promise<void> => {
    asking ??= list().finally(() => {
      asking = undefined;
    });
    return asking;
  };

  return {
    ask,
    askAnew() {
      // What is on its way may have been answered before the change that gives cause.
      askingAnew ??= (asking ?? Promise.resolve()).then(ask).finally(() => {
        askingAnew = undefined;
      });
      return askingAnew;
    },
  };
}

function sameList(one: readonly string[], other: readonly string[] | undefined): boolean {
  return one.length === other?.length && one.every((item, index) => item === other[index]);
}
