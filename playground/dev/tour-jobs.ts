// The tour's quest: work that nobody waits for, accepted by a host that dies before it is done.

import type { Bronze } from "./bronze.ts";
import type { Screen } from "./screen.ts";
import { duration } from "./screen.ts";
import type { Step } from "./telling.ts";
import { check } from "./telling.ts";

const wish = "A quest about the smith's lost hammer.";
const tokens = 12;

interface Job {
  readonly id: string;
  readonly status: string;
  readonly result?: { readonly choices: readonly { readonly message: { readonly content: string } }[] };
}

export const questIsOrdered: Step = async ({ gold2, bronze }, screen) => {
  screen.heading("A quest is ordered: a job for Bronze, where no machine is running");
  screen.row("gold-2", `model "bronze": "${wish}"`);
  const from = performance.now();
  const answer = await fetch(`${gold2.publicUrl}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "bronze",
      messages: [{ role: "user", content: wish }],
      max_tokens: tokens,
    }),
  });
  const text = await answer.text();
  if (answer.status !== 202) return failed(text, screen);
  const { id, status }: Job = JSON.parse(text);
  screen.row("202", `${screen.bold(id)}, ${status}, after ${duration(performance.now() - from)}`);
  await showMachines(bronze, screen);
  screen.line("Before it said 202 it was on gold-2's disk, and in S3 for others to finish.");
  return true;
};

const patienceSeconds = 30;

export const questIsThere: Step = async ({ silver1, bronze }, screen) => {
  screen.heading("The quest that gold-2 had accepted before it died");
  const ask = async (path: string): Promise<string> =>
    (await fetch(`${silver1.publicUrl}/v1/jobs${path}`)).text();
  const { data = [] }: { data?: Job[] } = JSON.parse(await ask("?limit=1"));
  const [newest] = data;
  if (newest === undefined) return failed("silver-1 knows of no job", screen);
  screen.row("silver-1", `is asked for ${newest.id}`);
  const text = await ask(`/${newest.id}?wait=${patienceSeconds}`);
  const { status, result }: Partial<Job> = JSON.parse(text);
  if (status !== "succeeded") return failed(text, screen);
  screen.row("succeeded", JSON.stringify(result?.choices[0]?.message.content));
  await showMachines(bronze, screen);
  return true;
};

const showMachines = async ({ endpoint, machines }: Bronze, screen: Screen): Promise<void> =>
  screen.row("machines", `${await machines()} at ${endpoint}, a stand-in for SageMaker`);

function failed(text: string, screen: Screen): boolean {
  screen.paragraph("failed", text);
  return check(screen, false, "a job that is accepted should come to its result");
}
