// An answer of the stand-in for AWS, and how its services word an error.

import type { HeaderRow } from "../simulated/http-listener.ts";

export interface AwsAnswer {
  readonly status: number;
  readonly headers?: readonly HeaderRow[];
  readonly body?: string | Uint8Array;
}

/** As S3 does. */
export const xmlError = (status: number, code: string, message: string): AwsAnswer => ({
  status,
  headers: [["content-type", "application/xml"]],
  body: `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message></Error>`,
});

/** As SageMaker does. */
export const jsonError = (status: number, code: string, message: string): AwsAnswer => ({
  status,
  headers: [
    ["content-type", "application/json"],
    ["x-amzn-errortype", code],
  ],
  body: JSON.stringify({ __type: code, message, Message: message }),
});
