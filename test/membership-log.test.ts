// What the log says of members, event by event.

import { describe, expect, test } from "bun:test";
import type { Member, MembershipEvent } from "../src/cluster/member.ts";
import { membershipLine } from "../src/membership-log.ts";

const memberIn = (state: Member["state"]): Member => ({
  claim: { name: "gold-2", boot: "b", address: "10.0.0.2:8012", incarnation: 7, state, seq: 1 },
  state,
  stateSince: 0,
  metaAt: 0,
  heardAt: undefined,
});
const fieldsIn = (state: Member["state"]) => ({
  member: "gold-2",
  state,
  incarnation: 7,
  address: "10.0.0.2:8012",
});
const conflict = {
  kind: "conflict",
  name: "gold-2",
  winner: "10.0.0.2:8012",
  loser: "10.0.0.9:8012",
} as const;
const parties = { member: "gold-2", winner: "10.0.0.2:8012", loser: "10.0.0.9:8012" };

const lines: readonly (readonly [
  MembershipEvent,
  level: "info" | "warn" | "error",
  says: string,
  fields: Readonly<Record<string, string | number>>,
])[] = [
  [{ kind: "joined", member: memberIn("alive") }, "info", "joined", fieldsIn("alive")],
  [{ kind: "restarted", member: memberIn("alive") }, "info", "restarted", fieldsIn("alive")],
  [{ kind: "refuted", member: memberIn("alive") }, "info", "alive after all", fieldsIn("alive")],
  [{ kind: "left", member: memberIn("left") }, "info", "of its own will", fieldsIn("left")],
  [{ kind: "forgotten", member: memberIn("dead") }, "info", "forgotten", fieldsIn("dead")],
  [
    { kind: "suspected", member: memberIn("suspect"), by: "gold-3", why: "refused" },
    "warn",
    "nothing new is sent there",
    { ...fieldsIn("suspect"), by: "gold-3", why: "refused" },
  ],
  [
    { kind: "dead", member: memberIn("dead"), by: "gold-3", why: "refused", heardFrom: "gold-4" },
    "warn",
    "has not spoken up",
    { ...fieldsIn("dead"), by: "gold-3", why: "refused", heard_from: "gold-4" },
  ],
  [
    { kind: "accused", by: "gold-3", why: "late", incarnation: 9 },
    "warn",
    "could not reach this router",
    { by: "gold-3", why: "late", incarnation: 9 },
  ],
  [{ ...conflict, yielded: true }, "error", "host.name of its own and restart this one", parties],
  [
    { ...conflict, yielded: false },
    "error",
    "host.name of its own and restart the one at 10.0.0.9:8012",
    parties,
  ],
];

describe("the log line of a membership event", () => {
  for (const [event, level, says, fields] of lines) {
    test(`is of level ${level} and says "${says}" where ${JSON.stringify(event.kind)}`, () => {
      const line = membershipLine(event);
      expect([line?.level, line?.fields]).toEqual([level, fields]);
      expect(line?.message).toContain(says);
    });
  }

  test("is left out for new adverts, which come several times a second", () => {
    expect(membershipLine({ kind: "updated", member: memberIn("alive") })).toBeUndefined();
  });
});
