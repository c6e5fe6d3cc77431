// Says once that somebody has left, to all who listen. An AbortController does the same at thirty times the cost, for
// its signal is an object of the runtime; most requests end without anybody leaving.

/** As much of an AbortSignal as is needed to hear of it, so that one of those will do as well. */
export interface Leaving {
  readonly aborted: boolean;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

/** Calls `leave` when somebody leaves, at once where he has left; the returned function forgets it. */
export function whenLeft(leaving: Leaving, leave: () => void): () => void {
  leaving.addEventListener("abort", leave);
  if (leaving.aborted) leave();
  return () => leaving.removeEventListener("abort", leave);
}

export class Departure implements Leaving {
  aborted = false;
  #listeners: (() => void)[] | undefined;

  /** Only the first time counts. */
  abort(): void {
    if (this.aborted) return;
    this.aborted = true;
    // One may take another off the list.
    for (let next = this.#listeners?.shift(); next !== undefined; next = this.#listeners?.shift()) next();
  }

  addEventListener(_type: "abort", listener: () => void): void {
    if (this.aborted) return;
    if (this.#listeners === undefined) this.#listeners = [listener];
    else this.#listeners.push(listener);
  }

  removeEventListener(_type: "abort", listener: () => void): void {
    const place = this.#listeners?.indexOf(listener) ?? -1;
    if (place >= 0) this.#listeners?.splice(place, 1);
  }
}
