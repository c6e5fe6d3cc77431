// A byte stream as text: characters that are split between two pieces come whole.

export async function* decoded(bytes: ReadableStream<Uint8Array>): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder();
  for await (const piece of bytes) yield decoder.decode(piece, { stream: true });
}

/** The same in lines, without their ends; what does not end is left out. */
export async function* linesOf(bytes: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined, void> {
  let rest = "";
  for await (const text of decoded(bytes)) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  return undefined;
}
