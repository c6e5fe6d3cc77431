// Bronze of every host: a stand-in for SageMaker and S3, with no machine running until there is work, and an engine that its
// machines would have.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Children } from "./children.ts";
import type { HostBronze } from "./host.ts";
import { engineOf, playground, urlOf } from "./host.ts";

export interface Bronze extends HostBronze {
  readonly endpoint: string;
  readonly model: string;
  /** Where it is broken. */
  readonly controlUrl: string;
  /** The same for whoever starts one by hand: a line for each variable. */
  readonly envPath: string;
  /** How many run now. */
  machines(): Promise<number>;
}

const endpoint = "story-bronze";
const model = "story-70b";
const msPerToken = 60;
/** Minutes, with a real one. */
const scaleUpMs = 2000;

export async function startBronze(folder: string, children: Children): Promise<Bronze> {
  const run = (name: string, ...words: readonly string[]) =>
    children.start(name, [process.execPath, ...words]);
  const simulated = join(playground, "simulated-engine.ts");
  const engine = engineOf(
    await run("bronze-engine", simulated, "--model", model, "--ms-per-token", `${msPerToken}`),
  );
  const aws = await run(
    "aws",
    join(playground, "aws.ts"),
    ...["--endpoint", endpoint, "--model", model, "--engine", engine.url],
    ...["--instances", "0", "--scale-up-ms", `${scaleUpMs}`],
  );
  const url = urlOf(aws, "url");
  const own = textsOf(aws.ready["env"]);
  const envPath = join(folder, "aws.env");
  const lines = Object.entries(own).map(([name, text]) => `${name}=${text}\n`);
  writeFileSync(envPath, lines.join(""));
  return {
    endpoint,
    model,
    controlUrl: urlOf(aws, "control"),
    config: `[tier.bronze]
runner    = "sagemaker"
endpoint  = "${endpoint}"
region    = "us-east-1"
output    = "s3://bucket/results"
input     = "s3://bucket/inputs"
manifests = "s3://bucket/manifests"
models    = ["${model}"]
`,
    env: { ...withoutAws(), ...own },
    envPath,
    machines: () => machinesOf(url),
  };
}

const withoutAws = (): Record<string, string | undefined> =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("AWS_")));

function textsOf(value: unknown): Record<string, string> {
  const all: [string, unknown][] = typeof value === "object" && value !== null ? Object.entries(value) : [];
  return Object.fromEntries(all.map(([name, text]) => [name, String(text)]));
}

async function machinesOf(url: string): Promise<number> {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "x-amz-target": "SageMaker.DescribeEndpoint" },
    body: JSON.stringify({ EndpointName: endpoint }),
  });
  const told: { ProductionVariants: { CurrentInstanceCount: number }[] } = JSON.parse(await answer.text());
  return told.ProductionVariants.reduce((sum, variant) => sum + variant.CurrentInstanceCount, 0);
}
