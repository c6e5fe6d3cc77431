import { describe, expect, test } from "bun:test";
import { startEc2Metadata } from "../../playground/ec2-metadata.ts";
import { systemClock } from "../../src/base/clock.ts";
import { askEc2Identity, createEc2Metadata, ec2Rule, mayBeEc2 } from "../../src/host/ec2.ts";
import { startBlackHole } from "../support/black-hole.ts";
import { cleanup } from "../support/cleanup.ts";
import { startRawServer } from "../support/raw-server.ts";

const stopped = cleanup();
const identityPath = "/latest/dynamic/instance-identity/document";
const spotPath = "/latest/meta-data/spot/instance-action";

/** Generous: the machine that runs the tests may be busy. */
const soonMs = ec2Rule.startMs + 700;

function metadataAt(endpoint: string, env: Record<string, string> = {}) {
  const metadata = createEc2Metadata({ AWS_EC2_METADATA_SERVICE_ENDPOINT: endpoint, ...env }, systemClock);
  stopped({ stop: metadata.close });
  return metadata;
}

const serving = (...given: Parameters<typeof startEc2Metadata>) => stopped(startEc2Metadata(...given));

async function timed<Answer>(work: Promise<Answer>): Promise<{ answer: Answer; tookMs: number }> {
  const startedAt = performance.now();
  const answer = await work;
  return { answer, tookMs: performance.now() - startedAt };
}

describe("askEc2Identity", () => {
  test("answers who and where the machine is, with a token as version 2 wants it", async () => {
    const ec2 = serving({ instanceId: "i-0aaaabbbbccccdddd", availabilityZone: "eu-central-1b" });
    expect(await askEc2Identity(metadataAt(`${ec2.url}/`))).toEqual({
      instanceId: "i-0aaaabbbbccccdddd",
      availabilityZone: "eu-central-1b",
      region: "eu-central-1",
    });
    expect(ec2.requests).toEqual(["PUT /latest/api/token", `GET ${identityPath}`]);
  });

  for (const [fault, why] of [
    ["slow", "no answer in time"],
    ["silent", "no answer in time"],
    ["no-tokens", "no token for the instance metadata: 403"],
  ] as const) {
    test(`answers in time that it knows nothing when the service is ${fault}`, async () => {
      const ec2 = serving();
      ec2.fault(fault);
      const { answer, tookMs } = await timed(askEc2Identity(metadataAt(ec2.url)));
      expect(answer).toEqual({ none: why });
      expect(tookMs).toBeLessThan(soonMs);
    });
  }

  test("answers in time on a machine where a connect neither succeeds nor fails", async () => {
    const { port } = stopped(await startBlackHole());
    const { answer, tookMs } = await timed(askEc2Identity(metadataAt(`http://127.0.0.1:${port}`)));
    expect(answer).toHaveProperty("none");
    expect(tookMs).toBeLessThan(soonMs);
  });

  test("answers at once on a machine where nobody listens", async () => {
    const ec2 = startEc2Metadata();
    await ec2.stop();
    const { answer, tookMs } = await timed(askEc2Identity(metadataAt(ec2.url)));
    expect(answer).toHaveProperty("none");
    expect(tookMs).toBeLessThan(ec2Rule.startMs);
  });

  test("asks nobody when it is switched off", async () => {
    const ec2 = serving();
    const off = metadataAt(ec2.url, { AWS_EC2_METADATA_DISABLED: "TRUE" });
    expect(await askEc2Identity(off)).toEqual({ none: "AWS_EC2_METADATA_DISABLED is true" });
    expect(ec2.requests).toEqual([]);
  });

  test.each(["169.254.169.254", "https://127.0.0.1", "nonsense"])("asks nobody at %s", async (endpoint) => {
    const answer = await askEc2Identity(metadataAt(endpoint));
    expect(answer).toEqual({
      none: `AWS_EC2_METADATA_SERVICE_ENDPOINT is no http:// address: ${endpoint}`,
    });
  });

  test.each([
    ["no JSON", "<html>"],
    ["no object", "[]"],
    ["a name that is none", JSON.stringify({ instanceId: "../x", availabilityZone: "a-1", region: "a" })],
    ["no zone", JSON.stringify({ instanceId: "i-0123456789abcdef0", region: "us-east-1" })],
  ])("believes no document with %s", async (_, document) => {
    const ec2 = serving({ pages: { [identityPath]: document } });
    expect(await askEc2Identity(metadataAt(ec2.url))).toEqual({
      none: "the instance metadata has no readable identity document",
    });
  });

  test("reads no more of an answer than it could need", async () => {
    const ec2 = serving({ pages: { [identityPath]: "x".repeat(2 * ec2Rule.answerBytes) } });
    expect(await askEc2Identity(metadataAt(ec2.url))).toEqual({ none: "the answer is too long" });
  });

  test("takes no token that could not stand in a header", async () => {
    const server = stopped(
      startRawServer(async (connection) => {
        await connection.request();
        connection.write("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\na\r\nb:c");
      }),
    );
    const answer = await askEc2Identity(metadataAt(`http://127.0.0.1:${server.port}`));
    expect(answer).toEqual({ none: "no token for the instance metadata: 200" });
  });
});

describe("the metadata of EC2", () => {
  test("costs one token for many questions", async () => {
    const ec2 = serving({ pages: { [spotPath]: '{"action":"terminate"}' } });
    const metadata = metadataAt(ec2.url);
    for (let times = 0; times < 3; times += 1) await metadata.read(spotPath, 1000);
    expect(ec2.requests.filter((request) => request.startsWith("PUT"))).toHaveLength(1);
    expect(await metadata.read(spotPath, 1000)).toEqual({ status: 200, body: '{"action":"terminate"}' });
  });

  test("gets a new token when the old one is no longer good, and asks again", async () => {
    const ec2 = serving();
    const metadata = metadataAt(ec2.url);
    await metadata.read(identityPath, 1000);
    ec2.expireTokens();
    expect(await metadata.read(identityPath, 1000)).toMatchObject({ status: 200 });
    expect(ec2.requests.map((request) => request.slice(0, 3))).toEqual(["PUT", "GET", "GET", "PUT", "GET"]);
  });

  test("hands on what is not there as 404, which is what most of it says most of the time", async () => {
    const ec2 = serving();
    expect(await metadataAt(ec2.url).read(spotPath, 1000)).toMatchObject({ status: 404 });
  });
});

describe("mayBeEc2", () => {
  const files: readonly [string, file: string, text: string, is: boolean][] = [
    ["Nitro", "/sys/class/dmi/id/sys_vendor", "Amazon EC2\n", true],
    ["bare metal", "/sys/class/dmi/id/board_vendor", "Amazon EC2\n", true],
    ["Xen", "/sys/hypervisor/uuid", "ec2e1916-9099-7caf-fd21-012345abcdef\n", true],
    ["somebody else's Xen", "/sys/hypervisor/uuid", "3c6f0f4e-9099-7caf-fd21-012345abcdef\n", false],
    ["a workstation", "/sys/class/dmi/id/sys_vendor", "LENOVO\n", false],
  ];
  for (const [machine, file, text, is] of files) {
    test(`is ${is} of ${machine}`, () => {
      const read = (path: string) => (path === file ? text : undefined);
      expect(mayBeEc2({}, read)).toBe(is);
      expect(mayBeEc2({ AWS_EC2_METADATA_DISABLED: "True" }, read)).toBe(false);
    });
  }

  test("is true wherever an endpoint is named, and looks at nothing for that", () => {
    const read = (): string => {
      throw new Error("looked");
    };
    expect(mayBeEc2({ AWS_EC2_METADATA_SERVICE_ENDPOINT: "http://127.0.0.1:1" }, read)).toBe(true);
  });
});
