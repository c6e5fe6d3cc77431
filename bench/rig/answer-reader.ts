// Finds the end of one HTTP answer after the other on a connection. Trusts the server: this is a driver, not a client.

const endOfHead = "\r\n\r\n";
const lastChunk = "0\r\n\r\n";

export interface AnswerReader {
  /** True when these bytes end the answer; the next bytes begin another. */
  ends(bytes: Buffer): boolean;
  /** Of the last head that was read; 0 before the first. */
  status(): number;
}

export function createAnswerReader(): AnswerReader {
  let status = 0;
  let awaits: "head" | "length" | "last-chunk" = "head";
  let missingBytes = 0;
  /** An unfinished head, or the end of a chunked body. */
  let held = "";

  const readHead = (bytes: Buffer): void => {
    held += bytes.toString("latin1");
    const headEnd = held.indexOf(endOfHead);
    if (headEnd < 0) return;
    const head = held.slice(0, headEnd);
    const rest = held.slice(headEnd + endOfHead.length);
    status = Number(head.slice(9, 12));
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    if (length === undefined) {
      awaits = "last-chunk";
      seekLastChunk(rest);
    } else {
      awaits = "length";
      missingBytes = Number(length) - rest.length;
    }
  };

  const seekLastChunk = (text: string): void => {
    held = (held + text).slice(-lastChunk.length);
    if (held === lastChunk) missingBytes = 0;
    else missingBytes = 1;
  };

  return {
    ends(bytes) {
      if (awaits === "head") readHead(bytes);
      else if (awaits === "length") missingBytes -= bytes.length;
      else seekLastChunk(bytes.subarray(-lastChunk.length).toString("latin1"));
      if (awaits === "head" || missingBytes > 0) return false;
      awaits = "head";
      held = "";
      return true;
    },
    status: () => status,
  };
}
