// A SageMaker that nobody here wrote: moto, with an endpoint and a bucket in it.

import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import {
  CreateEndpointCommand,
  CreateEndpointConfigCommand,
  CreateModelCommand,
  SageMakerClient,
} from "@aws-sdk/client-sagemaker";
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
const region = "us-east-1";

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
    env: { AWS_ENDPOINT_URL: url, AWS_ACCESS_KEY_ID: "tester", AWS_SECRET_ACCESS_KEY: "tester-secret" },
    async results(...results) {
      const body = JSON.stringify({ region, results });
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
  const credentials = { accessKeyId: "tester", secretAccessKey: "tester-secret" };
  const s3 = new S3Client({ region, endpoint: url, credentials, forcePathStyle: true });
  await s3.send(new CreateBucketCommand({ Bucket: "bucket" }));
  const sagemaker = new SageMakerClient({ region, endpoint: url, credentials });
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
