// The last words of a process: what it writes to its standard error goes where ours goes, and the end of it is kept.

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { Socket } from 'node:net';

const KEPT_BYTES = 4096;

const ignore = () => {};

/** How many are open: as long as any is, a standard error that nobody reads any more is no reason to fail. */
let open = 0;
let isBroken = false;
let isListening = false;

function forward(chunk: Buffer): void {
  if (isBroken) return;
  process.stderr.write(chunk, (error) => {
    if (error) isBroken = true;
  });
}

/** Unless another one was opened meanwhile. */
function forget(): void {
  if (open > 0) return;
  process.stderr.off('error', ignore);
  isListening = false;
}

/** Of a pipe that is read until it ends. */
export class StderrTail {
  #chunks: Buffer[] = [];
  #bytes = 0;
  readonly #stream: Socket;
  /** Resolves when nobody can write to it any more. */
  readonly ended: Promise<void>;

  /** @param descriptor the end of a pipe to read from; it is closed with this. */
  constructor(descriptor: number) {
    const stream = new Socket({ fd: descriptor, readable: true, writable: false });
    this.#stream = stream;
    stream.unref();
    stream.on('data', (chunk: Buffer) => this.#onData(chunk));
    stream.on('error', ignore);
    if (!isListening) process.stderr.on('error', ignore);
    isListening = true;
    open += 1;
    this.ended = new Promise((resolve) => {
      stream.once('close', () => {
        open -= 1;
        // An error of the last write comes later than its callback.
        if (open === 0) setImmediate(forget).unref();
        resolve();
      });
    });
  }

  #onData(chunk: Buffer): void {
    forward(chunk);
    this.#chunks.push(chunk);
    this.#bytes += chunk.byteLength;
    while (this.#bytes - (this.#chunks[0] as Buffer).byteLength >= KEPT_BYTES) {
      this.#bytes -= (this.#chunks.shift() as Buffer).byteLength;
    }
  }

  /** What the process has started may hold the pipe open; it is not read any more. */
  close(): void {
    this.#stream.destroy();
  }

  get text(): string {
    return wholeLines(Buffer.concat(this.#chunks));
  }
}

/** The end of a log file, from `start` on. */
export function tailOfFile(path: string, start: number): string {
  try {
    const descriptor = openSync(path, 'r');
    try {
      const { size } = fstatSync(descriptor);
      const from = Math.max(start, size - KEPT_BYTES);
      const buffer = Buffer.alloc(Math.max(size - from, 0));
      return wholeLines(buffer.subarray(0, readSync(descriptor, buffer, 0, buffer.byteLength, from)));
    } finally {
      closeSync(descriptor);
    }
  } catch {
    // Somebody has taken the file away.
    return '';
  }
}

/** The kept bytes begin anywhere: a line that was cut, and a character, are left out. */
function wholeLines(bytes: Buffer): string {
  if (bytes.byteLength <= KEPT_BYTES) return bytes.toString().trimEnd();
  const kept = bytes.subarray(bytes.byteLength - KEPT_BYTES);
  return kept
    .subarray(kept.indexOf(10) + 1)
    .toString()
    .trimEnd();
}
