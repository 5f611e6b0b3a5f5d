// Grams that wait until there is room where they go: in order for each destination, and none waits for another's.

import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { BosunError, PeerAbsentError, SizeError } from '../errors.js';
import { type NativeWatch, native, SOCKET_READY } from '../native.js';

/** Nobody reads there. */
const ABSENT = new Set(['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'ENOTDIR', 'EPROTOTYPE', 'EACCES', 'ENOTSOCK']);

/** As the addon says it: the system's own, negative. */
const AGAIN = -constants.errno.EAGAIN;

const ALL = Number.POSITIVE_INFINITY;

/** What `send` gives back for what the system has taken at once: nearly all, and a promise for each would cost as much as that. */
export const SENT: Promise<void> = Promise.resolve();

interface Letter {
  readonly bytes: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** What waits for one destination, and for what: room there, unless this end has none itself. */
interface Outbox {
  readonly letters: Letter[];
  /** How many of them are sent. */
  head: number;
  descriptor: number;
  watch: NativeWatch | undefined;
}

export class Outboxes {
  readonly #descriptor: number;
  readonly #boxes = new Map<string, Outbox>();
  /** While nothing can be sent to anybody: what others have not read takes all the room that the system gives. */
  #ownWatch: NativeWatch | undefined;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** @throws PeerAbsentError, SizeError, BosunError */
  send(bytes: Uint8Array, destination: string): Promise<void> {
    const box = this.#boxes.get(destination);
    if (box === undefined) {
      const sent = native.sendDatagram(this.#descriptor, bytes, destination);
      if (sent === 0) return SENT;
      if (sent !== AGAIN) return Promise.reject(refusal(sent, destination));
    }
    return new Promise((resolve, reject) => {
      // The caller may use its memory again.
      const letter = { bytes: Uint8Array.from(bytes), resolve, reject };
      if (box !== undefined) {
        box.letters.push(letter);
        return;
      }
      const made: Outbox = { letters: [letter], head: 0, descriptor: -1, watch: undefined };
      this.#boxes.set(destination, made);
      this.#awaitRoom(destination, made);
    });
  }

  close(error: Error): void {
    this.#ownWatch?.close();
    this.#ownWatch = undefined;
    for (const [destination, box] of this.#boxes) this.#end(destination, box, error);
  }

  #awaitRoom(destination: string, box: Outbox): void {
    box.descriptor = native.connectDatagram(destination);
    if (box.descriptor < 0) {
      this.#end(destination, box, refusal(box.descriptor, destination));
      return;
    }
    box.watch = native.watchSocket(box.descriptor, SOCKET_READY.ROOM, () => this.#onRoom(destination, box));
    if (box.watch === undefined) this.#end(destination, box, refusal(-constants.errno.EMFILE, destination));
  }

  #onRoom(destination: string, box: Outbox): void {
    if (this.#flush(destination, box) > 0) return;
    // There is room for it, and it could not be sent: the room that is missing is here.
    stopWaiting(box);
    this.#ownWatch ??= native.watchSocket(this.#descriptor, SOCKET_READY.ROOM, () => this.#onOwnRoom());
    if (this.#ownWatch === undefined) this.#end(destination, box, refusal(-constants.errno.EMFILE, destination));
  }

  #onOwnRoom(): void {
    this.#ownWatch?.close();
    this.#ownWatch = undefined;
    for (const [destination, box] of [...this.#boxes]) {
      if (box.watch === undefined && this.#flush(destination, box) !== ALL) this.#awaitRoom(destination, box);
    }
  }

  /** How many were sent; ALL when nothing is left. */
  #flush(destination: string, box: Outbox): number {
    let count = 0;
    while (box.head < box.letters.length) {
      const { bytes, resolve } = box.letters[box.head] as Letter;
      const sent = native.sendDatagram(this.#descriptor, bytes, destination);
      if (sent === AGAIN) {
        this.#shorten(box);
        return count;
      }
      if (sent !== 0) {
        this.#end(destination, box, refusal(sent, destination));
        return ALL;
      }
      box.head += 1;
      count += 1;
      resolve();
    }
    this.#end(destination, box);
    return ALL;
  }

  /** What was sent is forgotten, now and then. */
  #shorten(box: Outbox): void {
    if (box.head < 1_000) return;
    box.letters.splice(0, box.head);
    box.head = 0;
  }

  #end(destination: string, box: Outbox, error?: Error): void {
    this.#boxes.delete(destination);
    stopWaiting(box);
    if (error !== undefined) for (const { reject } of box.letters.slice(box.head)) reject(error);
  }
}

function stopWaiting(box: Outbox): void {
  box.watch?.close();
  box.watch = undefined;
  if (box.descriptor >= 0) native.closeDescriptor(box.descriptor);
  box.descriptor = -1;
}

function refusal(errno: number, destination: string): Error {
  const name = getSystemErrorName(errno);
  if (ABSENT.has(name)) return new PeerAbsentError(`nobody reads at ${destination} (${name})`);
  if (name === 'EMSGSIZE') return new SizeError(`the gram is longer than the system takes for ${destination}`);
  return new BosunError('ERR_BOSUN_PEER', `a gram for ${destination} could not be sent: ${name}`);
}
