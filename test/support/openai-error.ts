// Reads OpenAI's error shape, and fails on anything else.

export interface OpenAiErrorBody {
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string;
}

export function readOpenAiError(text: string): OpenAiErrorBody {
  const body: unknown = JSON.parse(text);
  const error = typeof body === "object" && body !== null && "error" in body ? body.error : undefined;
  if (typeof error !== "object" || error === null) throw new Error(`not an OpenAI error: ${text}`);
  const { message, type, param, code } = Object.fromEntries(Object.entries(error));
  if (typeof message !== "string" || typeof type !== "string" || typeof code !== "string") {
    throw new Error(`not an OpenAI error: ${text}`);
  }
  return { message, type, param: param === null ? null : String(param), code };
}

export const openAiErrorOf = async (response: Response): Promise<OpenAiErrorBody> =>
  readOpenAiError(await response.text());
