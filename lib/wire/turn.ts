// Frames that are sent in one turn of the event loop, to leave in one piece.

/** Above this a copy into one piece costs more than it saves. */
export const LONG_BYTES = 16 * 1024;

/** What waits for the end of the turn is no longer than that, and a frame. */
const FULL_BYTES = 64 * 1024;

export class Turn {
  readonly #leave: (frames: Uint8Array) => void;
  #frames: Uint8Array[] = [];
  #bytes = 0;

  /** @param leave is given frames whose memory is theirs alone. */
  constructor(leave: (frames: Uint8Array) => void) {
    this.#leave = leave;
  }

  add(frame: Uint8Array): void {
    if (this.#frames.length === 0) process.nextTick(() => this.flush());
    this.#frames.push(frame);
    this.#bytes += frame.byteLength;
    if (this.#bytes >= FULL_BYTES) this.flush();
  }

  flush(): void {
    const frames = this.#frames;
    if (frames.length === 0) return;
    const all = frames.length === 1 ? (frames[0] as Uint8Array) : join(frames, this.#bytes);
    this.#frames = [];
    this.#bytes = 0;
    this.#leave(all);
  }
}

function join(frames: readonly Uint8Array[], length: number): Uint8Array {
  const all = new Uint8Array(length);
  let offset = 0;
  for (const frame of frames) {
    all.set(frame, offset);
    offset += frame.byteLength;
  }
  return all;
}
