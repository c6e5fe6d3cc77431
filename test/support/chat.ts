// Chat requests as a game client would send them.

export const messages = [{ role: "user", content: "Who goes there?" }];

export interface ChatOptions {
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
}

/** `body` as text goes out as it is. */
export function chat(
  url: string,
  body: unknown,
  { headers = {}, signal }: ChatOptions = {},
): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...(signal === undefined ? {} : { signal }),
  });
}

/** Reads a body that may break: what came, and whether it came to a clean end. */
export async function readAll(response: Response): Promise<{ text: string; clean: boolean }> {
  const decoder = new TextDecoder();
  let text = "";
  const reader = response.body?.getReader();
  try {
    for (;;) {
      const part = await reader?.read();
      if (part === undefined || part.done) return { text, clean: true };
      text += decoder.decode(part.value, { stream: true });
    }
  } catch {
    return { text, clean: false };
  }
}

/** Waits until a condition holds; fails with `what` when it does not within `timeoutMs`. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  timeoutMs = 5000,
): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await Bun.sleep(5);
  }
}
