// The requests that benches send, as bytes.

import { mockModel, muteModel } from "./mock-engine.ts";

/** A chat whose body has about so many bytes. */
export const chat = (bodyBytes: number): Buffer =>
  post({ model: mockModel, max_tokens: 8, temperature: 0.7, messages: conversation(bodyBytes) });

/** A streamed chat that gets so many chunks. */
export const streamedChat = (chunks: number): Buffer =>
  post({ model: mockModel, stream: true, max_tokens: chunks, messages: conversation(200) });

/** A chat that the mock engine takes and never answers. */
export const unansweredChat = (): Buffer => post({ model: muteModel, messages: conversation(200) });

/** Several turns: a router that parses has keys, strings and braces to look at, not one long string. */
export function conversation(bytes: number): { role: string; content: string }[] {
  const turn =
    "The guard at the north gate says that nobody has passed since the bell, and that you know why. ";
  const turns = Math.max(1, Math.round((bytes - 60) / (turn.length + 35)));
  return Array.from({ length: turns }, (_, index) => ({
    role: index % 2 === 0 ? "user" : "assistant",
    content: turn,
  }));
}

export const post = (body: object): Buffer =>
  postTo("/v1/chat/completions", "application/json", Buffer.from(JSON.stringify(body)));

export function postTo(path: string, type: string, body: Uint8Array): Buffer {
  const head = `POST ${path} HTTP/1.1\r\nhost: tierline.test\r\nuser-agent: bench\r\naccept: ${type}\r\ncontent-type: ${type}\r\ncontent-length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}
