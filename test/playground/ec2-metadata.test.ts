import { expect, test } from "bun:test";
import { startEc2Metadata } from "../../playground/ec2-metadata.ts";
import { cleanup } from "../support/cleanup.ts";

const stopped = cleanup();
const ttl = "x-aws-ec2-metadata-token-ttl-seconds";

test("the stand-in for EC2's metadata answers nothing without a token of its own", async () => {
  const { url } = stopped(startEc2Metadata());
  const page = `${url}/latest/meta-data/instance-id`;
  expect((await fetch(page)).status).toBe(401);
  expect((await fetch(page, { headers: { "x-aws-ec2-metadata-token": "made-up" } })).status).toBe(401);
  const token = await fetch(`${url}/latest/api/token`, { method: "PUT", headers: { [ttl]: "60" } });
  const headers = { "x-aws-ec2-metadata-token": await token.text() };
  expect(await (await fetch(page, { headers })).text()).toBe("i-0123456789abcdef0");
});

test("the stand-in for EC2's metadata gives no token without a life of 1 to 21,600 seconds, nor to a GET", async () => {
  const { url } = stopped(startEc2Metadata());
  const put = (headers: Record<string, string>) =>
    fetch(`${url}/latest/api/token`, { method: "PUT", headers });
  const statuses = [await put({}), await put({ [ttl]: "0" }), await put({ [ttl]: "21601" })].map(
    ({ status }) => status,
  );
  expect(statuses).toEqual([400, 400, 400]);
  expect((await fetch(`${url}/latest/api/token`, { headers: { [ttl]: "60" } })).status).toBe(401);
});
