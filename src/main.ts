// The program's door: hands the command line to its command, and leaves with its exit code.

import { run } from "./cli/run.ts";
import { flushTerminal, terminal } from "./cli/terminal.ts";

const exit = await run(process.argv.slice(2), terminal);
await flushTerminal();
process.exit(exit);
