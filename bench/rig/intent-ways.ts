// The ways in which the intent bench asks for what the table knows: a row each.

import type { Archetypes } from "../../playground/npc/archetypes.ts";
import { encodeAsks } from "../../playground/npc/frames.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { MeasureId } from "../budgets.ts";
import type { Way } from "./lines.ts";
import { httpWay, socketWay } from "./lines.ts";
import { askOf, guard, itemOf } from "./npcs.ts";
import { postTo } from "./requests.ts";

export interface IntentWay {
  readonly measure: MeasureId;
  /** What it is to be compared with: as many items, as JSON. The echo can be asked in these ways only. */
  readonly asJson: MeasureId;
  /** In a request. */
  readonly items: number;
  make(epoch: Archetypes["epoch"]): Way;
}

const intentsPath = "/v1/npc/intents";
const connections = 32;
const sockets = 8;
/** Frames under way on a socket: a game server does not wait for one tick before it sends the next. */
const framesUnderWay = 8;
/** Requests prepared for each way hold so many items together: every situation more than once. */
const preparedItems = 16_384;

const random = seededRandom(1);
const someSituation = (): number => Math.floor(random() * guard.situations);

const prepared = (items: number, one: () => Buffer): Buffer[] =>
  Array.from({ length: Math.ceil(preparedItems / items) }, one);

const jsonItem = (): object => itemOf(guard, someSituation(), Math.floor(random() * 10_000));

export const postJson = (body: object): Buffer =>
  postTo(intentsPath, "application/json", Buffer.from(JSON.stringify(body)));

const frame = (items: number, epoch: number): Buffer => {
  const npcs = Array.from({ length: items }, (_, npc) => askOf(guard, someSituation(), npc));
  return Buffer.from(encodeAsks(1, epoch, npcs));
};

const frameType = "application/vnd.tierline.intents";

const single: IntentWay = {
  measure: "intents-single",
  asJson: "intents-single",
  items: 1,
  make: () =>
    httpWay(
      prepared(1, () => postJson(jsonItem())),
      connections,
    ),
};

const batches = [1, 16, 64, 256] as const;

export const intentWays: readonly IntentWay[] = [
  single,
  ...batches.map(
    (items): IntentWay => ({
      measure: `intents-json-${items}`,
      asJson: `intents-json-${items}`,
      items,
      make() {
        const batch = (): Buffer => postJson({ items: Array.from({ length: items }, jsonItem) });
        return httpWay(prepared(items, batch), connections);
      },
    }),
  ),
  ...batches.map(
    (items): IntentWay => ({
      measure: `intents-post-${items}`,
      asJson: `intents-json-${items}`,
      items,
      make(epoch) {
        const post = (): Buffer => postTo(intentsPath, frameType, frame(items, epoch));
        return httpWay(prepared(items, post), connections);
      },
    }),
  ),
  ...batches.map(
    (items): IntentWay => ({
      measure: `intents-socket-${items}`,
      asJson: `intents-json-${items}`,
      items,
      make(epoch) {
        const frames = prepared(items, () => frame(items, epoch));
        return socketWay("/v1/npc/stream", frames, (items + 1) * 16, sockets, framesUnderWay);
      },
    }),
  ),
];
