// The table of commands. Dispatch, usage and help are read off it; a new command is one file and one row.

import { cacheClear, cacheConfig, cacheEntries, cacheStats } from "./cache.ts";
import { checkConfig } from "./check-config.ts";
import type { Command } from "./command.ts";
import { drain, undrain } from "./drain.ts";
import { explain } from "./explain.ts";
import { jobsCancel, jobsGet, jobsList, jobsRetry } from "./jobs.ts";
import { printConfig } from "./print-config.ts";
import { serve } from "./serve.ts";
import { status } from "./status.ts";
import { top } from "./top.ts";
import { version } from "./version.ts";

export const commands: readonly Command[] = [
  serve,
  checkConfig,
  printConfig,
  status,
  top,
  explain,
  drain,
  undrain,
  cacheStats,
  cacheConfig,
  cacheClear,
  cacheEntries,
  jobsList,
  jobsGet,
  jobsCancel,
  jobsRetry,
  version,
];
