// A SageMaker that nobody here wrote: moto, with an endpoint and a bucket in it.

import { CreateBucketCommand } from "@aws-sdk/client-s3";
import {
  CreateEndpointCommand,
  CreateEndpointConfigCommand,
  CreateModelCommand,
  SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { tester, testerEnv, testerRegion, testerS3 } from "./aws-tester.ts";
import { answersAt, freePort } from "./free-port.ts";

export interface Moto {
  readonly url: string;
  /** What the AWS SDK reads. */
  readonly env: Readonly<Record<string, string>>;
  /** What the next invocations come to, in order. */
  results(...results: readonly MotoResult[]): Promise<void>;
  stop(): Promise<void>;
}

export type MotoResult = { readonly data: string; readonly is_failure?: boolean };

const startMs = 30_000;

export async function startMoto(endpoint: string): Promise<Moto> {
  const port = freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = Bun.spawn(["moto_server", "-H", "127.0.0.1", "-p", `${port}`], {
    stdout: "ignore",
    stderr: "ignore",
  });
  await answersAt(url, startMs);
  await furnish(url, endpoint);
  return {
    url,
    env: testerEnv(url),
    async results(...results) {
      const body = JSON.stringify({ region: testerRegion, results });
      const headers = { "content-type": "application/json" };
      await fetch(`${url}/moto-api/static/sagemaker/async-endpoint-results`, {
        method: "POST",
        headers,
        body,
      });
    },
    async stop() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

async function furnish(url: string, endpoint: string): Promise<void> {
  const s3 = testerS3(url);
  await s3.send(new CreateBucketCommand({ Bucket: "bucket" }));
  const sagemaker = new SageMakerClient({ region: testerRegion, endpoint: url, credentials: tester });
  const role = "arn:aws:iam::123456789012:role/tierline";
  await sagemaker.send(
    new CreateModelCommand({ ModelName: "m", PrimaryContainer: { Image: "x" }, ExecutionRoleArn: role }),
  );
  await sagemaker.send(
    new CreateEndpointConfigCommand({
      EndpointConfigName: "c",
      ProductionVariants: [
        // The only kind that it takes.
        { VariantName: "v", ModelName: "m", InitialInstanceCount: 1, InstanceType: "ml.m5.large" },
      ],
      AsyncInferenceConfig: { OutputConfig: { S3OutputPath: "s3://bucket/results" } },
    }),
  );
  await sagemaker.send(new CreateEndpointCommand({ EndpointName: endpoint, EndpointConfigName: "c" }));
  s3.destroy();
  sagemaker.destroy();
}
