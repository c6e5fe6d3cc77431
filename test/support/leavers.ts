// Callers who ask and leave, so many a second: a third before their answer, a third in the middle of a stream, a third in
// the middle of their own question.

import type { Socket } from "bun";
import { messages } from "./chat.ts";
import { chatRequest } from "./raw-callers.ts";

export interface LeaversOptions {
  readonly url: string;
  readonly perSecond: number;
  /** Or `total`, whichever comes first. */
  readonly seconds: number;
  readonly total?: number;
  /** Only in the middle of streams. */
  readonly onlyStreams?: boolean;
}

export interface Leavers {
  readonly left: number;
  /** Of those, after the first bytes of their answer. */
  readonly inAnswer: number;
  readonly tookSeconds: number;
}

const stream = chatRequest({ model: "gold", stream: true, messages, max_tokens: 500 });
const whole = chatRequest({ model: "gold", messages, max_tokens: 500 });
const half = whole.slice(0, -20);

/** Most at a time, so that a machine that cannot keep up asks less instead of piling up. */
const atOnceMost = 400;
const patienceMs = 30;
/** For the first event of a stream. */
const streamPatienceMs = 5000;

export async function leavers({
  url,
  perSecond,
  seconds,
  total,
  onlyStreams,
}: LeaversOptions): Promise<Leavers> {
  const { hostname, port } = new URL(url);
  let left = 0;
  let inAnswer = 0;
  let open = 0;
  let turn = 0;

  const visit = (): void => {
    turn += 1;
    const kind = onlyStreams === true ? 1 : turn % 3;
    const request = kind === 0 ? whole : kind === 1 ? stream : half;
    open += 1;
    let isOver = false;
    let patience: Timer | undefined;
    const over = (): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(patience);
      open -= 1;
      left += 1;
    };
    const leave = (socket: Socket): void => {
      if (!isOver) socket.terminate();
      over();
    };
    Bun.connect({
      hostname,
      port: Number(port),
      socket: {
        open(socket) {
          socket.write(request);
          patience = setTimeout(leave, kind === 1 ? streamPatienceMs : patienceMs, socket);
        },
        data(socket, bytes) {
          if (kind !== 1 || !bytes.includes("data: ")) return;
          if (!isOver) inAnswer += 1;
          leave(socket);
        },
        close: over,
        error: leave,
        connectError: over,
      },
    }).catch(over);
  };

  const began = performance.now();
  const most = Math.min(total ?? Number.POSITIVE_INFINITY, perSecond * seconds);
  while (turn < most && performance.now() - began < seconds * 1000) {
    const due = Math.min(most, ((performance.now() - began) / 1000) * perSecond);
    while (turn < due && open < atOnceMost) visit();
    await Bun.sleep(1);
  }
  while (open > 0 && performance.now() - began < seconds * 1000 + 10_000) await Bun.sleep(5);
  return { left, inAnswer, tookSeconds: (performance.now() - began) / 1000 };
}
