// What both ends of a gossip exchange must agree on: where it goes, how large it may be, and how a message becomes bytes.
// What a message means, and whether it has the right shape, is for the room that made it.

export const gossipPath = "/gossip";
export const sealHeader = "x-tierline-seal";

/** Every message, either way, has the same subject: there is one thing to ask for. */
export const gossipSubject = `POST ${gossipPath}`;

export const gossipBounds = {
  /** Of a message: the news of 500 hosts twice over. */
  bodyBytes: 64 * 1024,
  /** 14 asks a second in the largest fleet, 50 while it boots, remembered for a minute: five times that. 2 MB. */
  nonces: 16_384,
} as const;

const utf8 = new TextDecoder("utf-8", { fatal: true });

export const encode = (message: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(message));

/** Undefined: not JSON. */
export function decode(body: Uint8Array): { readonly message: unknown } | undefined {
  try {
    const message: unknown = JSON.parse(utf8.decode(body));
    return { message };
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error;
    return undefined;
  }
}
