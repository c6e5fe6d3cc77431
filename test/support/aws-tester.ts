// Whom every AWS that nobody here wrote lets in, and how a test calls its S3.

import { S3Client } from "@aws-sdk/client-s3";

export const testerRegion = "us-east-1";

export const tester = { accessKeyId: "tester", secretAccessKey: "tester-secret" } as const;

/** What the AWS SDK reads. */
export const testerEnv = (url: string): Readonly<Record<string, string>> => ({
  AWS_ENDPOINT_URL: url,
  AWS_ACCESS_KEY_ID: tester.accessKeyId,
  AWS_SECRET_ACCESS_KEY: tester.secretAccessKey,
});

export const testerS3 = (url: string): S3Client =>
  new S3Client({ region: testerRegion, endpoint: url, credentials: tester, forcePathStyle: true });
