// JSON as bytes, written into one buffer that is used again and again: no strings are made of what is only to be sent.
// What is written often is prepared as a piece. Knows nothing of what the JSON is about.

/** UTF-8 in words of four bytes, the last one filled up: so copied in a third of the time. */
export interface Piece {
  readonly words: Int32Array;
  /** In bytes. */
  readonly length: number;
}

export interface JsonBytes {
  /** How many bytes there are. */
  readonly length: number;
  put(piece: Piece): void;
  text(text: string): void;
  /** As `String(value)` has it. */
  number(value: number): void;
  /** From 0 to 1, rounded to four places. */
  share(value: number): void;
  /** Whatever was left behind is gone. */
  clear(): void;
  /**
   * Takes off what was written after the first `from` bytes. The next write overwrites it: whoever keeps it copies it,
   * and a Response does.
   */
  take(from: number): Uint8Array<ArrayBuffer>;
}

/** A larger buffer is not kept: this holds a thousand plain answers, and few ask for more. */
const keptBytesMost = 256 * 1024;

export function pieceOf(text: string): Piece {
  const bytes = new TextEncoder().encode(text);
  const words = new Int32Array(Math.ceil(bytes.length / 4));
  const view = new DataView(words.buffer);
  new Uint8Array(words.buffer).set(bytes);
  for (const index of words.keys()) words[index] = view.getInt32(4 * index, true);
  return { words, length: bytes.length };
}

/** "0000" to "9999", each as one word whose lowest byte is the first digit. 0: not worked out yet. */
const fourDigits = new Int32Array(10_000);

function digitsOf(value: number): number {
  const known = fourDigits[value] ?? 0;
  if (known !== 0) return known;
  const digit = (ten: number): number => 0x30 + (Math.floor(value / ten) % 10);
  const word = digit(1000) | (digit(100) << 8) | (digit(10) << 16) | (digit(1) << 24);
  fourDigits[value] = word;
  return word;
}

export function createJsonBytes(): JsonBytes {
  let bytes = new Uint8Array(keptBytesMost);
  let view = new DataView(bytes.buffer);
  let length = 0;

  const use = (buffer: Uint8Array<ArrayBuffer>): void => {
    bytes = buffer;
    view = new DataView(buffer.buffer);
  };

  const makeRoom = (more: number): void => {
    if (length + more <= bytes.length) return;
    const larger = new Uint8Array(2 * (length + more));
    larger.set(bytes);
    use(larger);
  };

  const text = (written: string): void => {
    makeRoom(3 * written.length);
    length += encoder.encodeInto(written, bytes.subarray(length)).written;
  };

  /** Four digits at a time: a division each would take longer than all else. */
  const whole = (value: number): void => {
    let small = value;
    let digits = 4;
    if (value >= 10_000) {
      const high = (value / 10_000) | 0;
      whole(high);
      small = value - 10_000 * high;
    } else if (value < 1000) {
      digits = value < 10 ? 1 : value < 100 ? 2 : 3;
    }
    view.setInt32(length, digitsOf(small) >>> (32 - 8 * digits), true);
    length += digits;
  };

  return {
    get length() {
      return length;
    },
    put({ words, length: added }) {
      makeRoom(added + 4);
      for (let index = 0; index < words.length; index += 1) {
        view.setInt32(length + 4 * index, words[index] ?? 0, true);
      }
      length += added;
    },
    text,
    number(value) {
      makeRoom(16);
      // Both at once: no fraction, and no more than the bit operations know.
      if ((value | 0) === value && value >= 0) whole(value);
      else text(String(value));
    },
    share(value) {
      const small = Math.round(value * 10_000);
      makeRoom(6);
      if (small === 0 || small === 10_000) {
        whole(small / 10_000);
        return;
      }
      view.setInt16(length, zeroPoint, true);
      view.setInt32(length + 2, digitsOf(small), true);
      length += small % 10 !== 0 ? 6 : small % 100 !== 0 ? 5 : small % 1000 !== 0 ? 4 : 3;
    },
    clear() {
      length = 0;
      if (bytes.length > keptBytesMost) use(new Uint8Array(keptBytesMost));
    },
    take(from) {
      const taken = bytes.subarray(from, length);
      length = from;
      return taken;
    },
  };
}

const encoder = new TextEncoder();
/** "0." */
const zeroPoint = 0x2e30;
