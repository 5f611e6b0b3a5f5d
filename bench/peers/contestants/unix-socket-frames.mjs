// Both directions of the frames of unix-socket.mjs.

const NAMES = ['noop', 'spin'];
const LENGTH = 4;
const HEADER = LENGTH + 1;
const NUMBER = 8;
/** Bytes from which a body is written by itself instead of being copied. */
const LARGE = 16_384;
const BATCH = 65_536;

export class FrameWriter {
  #socket;
  #batch = Buffer.allocUnsafe(BATCH);
  #used = 0;
  #flushes = false;

  constructor(socket) {
    this.#socket = socket;
  }

  /** @param {number | Uint8Array} input */
  add(name, input) {
    const bytes = typeof input === 'number' ? undefined : input;
    const length = bytes === undefined ? NUMBER : bytes.byteLength;
    const inline = length < LARGE;
    if (this.#used + HEADER + (inline ? length : 0) > BATCH) this.#flush();
    const batch = this.#batch;
    // A number is told from eight bytes by the highest bit of the task.
    batch.writeUInt32LE(length + 1, this.#used);
    batch[this.#used + LENGTH] = NAMES.indexOf(name) | (bytes === undefined ? 0x80 : 0);
    this.#used += HEADER;
    if (bytes === undefined) {
      batch.writeDoubleLE(input, this.#used);
      this.#used += NUMBER;
    } else if (inline) {
      batch.set(bytes, this.#used);
      this.#used += length;
    } else {
      this.#flush();
      this.#socket.write(bytes);
    }
    if (this.#used === 0 || this.#flushes) return;
    this.#flushes = true;
    process.nextTick(() => {
      this.#flushes = false;
      this.#flush();
    });
  }

  #flush() {
    if (this.#used === 0) return;
    this.#socket.write(this.#batch.subarray(0, this.#used));
    // What has been handed to the socket may be read later: it is never written again.
    this.#batch = Buffer.allocUnsafe(BATCH);
    this.#used = 0;
  }
}

export class FrameReader {
  #chunks = [];
  #have = 0;
  #need = HEADER;
  #take;

  /** @param {(name: string, input: number | Buffer) => void} take */
  constructor(take) {
    this.#take = take;
  }

  push(chunk) {
    this.#chunks.push(chunk);
    this.#have += chunk.byteLength;
    if (this.#have < this.#need) return;
    const bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#have);
    let at = 0;
    this.#need = HEADER;
    while (bytes.byteLength - at >= HEADER) {
      const end = at + LENGTH + bytes.readUInt32LE(at);
      if (end > bytes.byteLength) {
        this.#need = end - at;
        break;
      }
      const task = bytes[at + LENGTH];
      const body = at + HEADER;
      const input = task & 0x80 ? bytes.readDoubleLE(body) : Buffer.from(bytes.subarray(body, end));
      this.#take(NAMES[task & 0x7f], input);
      at = end;
    }
    this.#have = bytes.byteLength - at;
    this.#chunks = this.#have === 0 ? [] : [bytes.subarray(at)];
  }
}
