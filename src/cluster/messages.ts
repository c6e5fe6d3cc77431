// The shapes that travel between routers, and whether something that arrived has one of them.
// How they become bytes, who signed them and how large they may be is for the transport.

import { isRecord } from "../base/is-record.ts";
import type { Claim, MemberState } from "./claim.ts";
import { accusersMost, memberStates } from "./claim.ts";
import { claimIncarnationMost, incarnationMost } from "./incarnation.ts";

/** The versions that this program understands, least and most. Peers whose ranges overlap talk to each other. */
export const ourVersions: VersionRange = [1, 1];
export type VersionRange = readonly [least: number, most: number];

export const messageBounds = {
  /** Twice the largest fleet that is promised. */
  members: 1024,
  /** A DNS name is no longer, nor an address with its port much. */
  textLength: 300,
  /** What the claims of an answer may weigh, and the news that ride on a digest: 500 members stay below 64 KB. */
  claimBytes: 36 * 1024,
  newsBytes: 12 * 1024,
  /** What a member may say of itself: some twenty engines. */
  metaBytes: 8 * 1024,
} as const;

export interface Sender {
  readonly name: string;
  readonly boot: string;
  readonly address: string;
}

/** What the sender of a digest knows of one member: enough to see who knows more. */
export type DigestRow = readonly [name: string, incarnation: number, weight: number, seq: number];

interface Envelope {
  readonly v: VersionRange;
  readonly from: Sender;
  /** Whom it is meant for, where the sender knows: who catches it on its way can play it to nobody else. */
  readonly for?: string;
  readonly claims: readonly Claim[];
}

/** "Here is my news, and this is what I know: what do you know better?" */
export interface Sync extends Envelope {
  readonly kind: "sync";
  readonly digest: readonly DigestRow[];
}

/** "Are you there?" If the member is accused, `claims` tells it, so that it can refute in its answer. */
export interface Ping extends Envelope {
  readonly kind: "ping";
  readonly to: string;
}

/** "I cannot reach that one. Can you?" */
export interface Ask extends Envelope {
  readonly kind: "ask";
  readonly to: string;
  readonly address: string;
  readonly timeoutMs: number;
}

export type Message = Sync | Ping | Ask;

export interface Reply extends Envelope {
  readonly kind: "reply";
  /** There was more to tell than one message holds. */
  readonly more?: boolean;
  /** The answer to an Ask. */
  readonly reached?: boolean;
}

export interface Refusal {
  readonly v: VersionRange;
  readonly kind: "refusal";
  readonly because: "malformed" | "version" | "stopped" | "misdirected";
}

/** Of one claim: its meta, and as much again for names, addresses, and fields of later versions. */
const claimChars = 2 * messageBounds.metaBytes;

/** The message, or why it is none. */
export function readMessage(value: unknown): Message | Refusal["because"] {
  const refused = versionTrouble(value);
  if (refused !== undefined) return refused;
  return isMessage(value) ? withReadableClaims(value) : "malformed";
}

/** What came back for a message; undefined where it is not a reply that we understand. */
export function readReply(value: unknown): Reply | undefined {
  if (versionTrouble(value) !== undefined) return undefined;
  return isReply(value) ? withReadableClaims(value) : undefined;
}

function versionTrouble(value: unknown): "malformed" | "version" | undefined {
  if (!isRecord(value) || !isVersionRange(value["v"])) return "malformed";
  const [least, most] = value["v"];
  return most < ourVersions[0] || least > ourVersions[1] ? "version" : undefined;
}

/** A claim that we cannot read (a state of a later version) costs only itself. */
function withReadableClaims<M extends Envelope>(message: M): M {
  const claims = message.claims.filter(isClaim);
  return claims.length === message.claims.length ? message : { ...message, claims };
}

function isMessage(value: unknown): value is Message {
  if (!isEnvelope(value)) return false;
  switch (value["kind"]) {
    case "sync":
      return isList(value["digest"], messageBounds.members) && value["digest"].every(isDigestRow);
    case "ping":
      return isText(value["to"]);
    case "ask":
      return isText(value["to"]) && isText(value["address"]) && isCount(value["timeoutMs"]);
    default:
      return false;
  }
}

function isReply(value: unknown): value is Reply {
  if (!isEnvelope(value) || value["kind"] !== "reply") return false;
  const { more, reached } = value;
  return [more, reached].every((flag) => flag === undefined || typeof flag === "boolean");
}

function isEnvelope(value: unknown): value is Record<string, unknown> {
  if (!isRecord(value) || !isList(value["claims"], messageBounds.members)) return false;
  const { from, for: receiver } = value;
  if (!(receiver === undefined || isText(receiver))) return false;
  return isRecord(from) && isText(from["name"]) && isText(from["boot"]) && isText(from["address"]);
}

function isClaim(value: unknown): value is Claim {
  if (!isRecord(value)) return false;
  const { name, boot, address, incarnation, state, seq, accusers, why } = value;
  return (
    isText(name) &&
    isText(boot) &&
    isText(address) &&
    isCount(incarnation) &&
    // Whoever is spoken of must be able to outrank it, many times over.
    incarnation <= claimIncarnationMost &&
    isCount(seq) &&
    isState(state) &&
    (accusers === undefined || (isList(accusers, accusersMost) && accusers.every(isText))) &&
    (why === undefined || isText(why)) &&
    isLight(value)
  );
}

/** A claim that fills a message could be told to nobody; what it says beyond what we know travels on with it. */
const isLight = (claim: Readonly<Record<string, unknown>>): boolean =>
  JSON.stringify(claim).length <= claimChars;

function isDigestRow(value: unknown): value is DigestRow {
  if (!Array.isArray(value)) return false;
  // By index: five hundred of them come with every message, and taking an array apart by pattern costs three times that.
  return isText(value[0]) && isCount(value[1]) && isCount(value[2]) && isCount(value[3]);
}

const isList = (value: unknown, most: number): value is readonly unknown[] =>
  Array.isArray(value) && value.length <= most;
const isText = (value: unknown): value is string =>
  typeof value === "string" && value !== "" && value.length <= messageBounds.textLength;
const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && typeof value === "number" && value >= 0 && value <= incarnationMost;
const isState = (value: unknown): value is MemberState => memberStates.some((state) => state === value);
const isVersionRange = (value: unknown): value is VersionRange =>
  isList(value, 2) && value.length === 2 && value.every(isCount);
