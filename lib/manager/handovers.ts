// Arguments of tasks that bytes cannot carry, on their way to the thread that runs the task.

import { types } from 'node:util';
import type { MessagePort, TransferListItem } from 'node:worker_threads';
import { builtin } from '../builtin.js';
import { DataCloneError } from '../errors.js';

/** They are cloned, and moved, when the task is submitted; the thread that begins it is sent the port that has them. */
export class Handovers {
  readonly #ports = new Map<number, MessagePort>();
  #count = 0;

  /** @throws DataCloneError (ERR_BOSUN_DATA_CLONE) for what no thread could have either; nothing has been moved then. */
  give(values: readonly unknown[], transferList: readonly TransferListItem[]): number {
    const { MessageChannel } = builtin('node:worker_threads');
    const { port1, port2 } = new MessageChannel();
    try {
      port1.postMessage(values, [...transferList]);
    } catch (cause) {
      port1.close();
      throw new DataCloneError(`the arguments cannot go to another thread: ${(cause as Error).message}`, { cause });
    }
    this.#count += 1;
    this.#ports.set(this.#count, port2);
    return this.#count;
  }

  /** Once. */
  take(number: number): MessagePort | undefined {
    const port = this.#ports.get(number);
    this.#ports.delete(number);
    return port;
  }

  /** Nobody will take them any more. */
  drop(number: number): void {
    this.take(number)?.close();
  }
}

/** Whether some argument, or a property of one, is memory that threads share. */
export function holdsShared(args: readonly unknown[]): boolean {
  return args.some(
    (arg) => isShared(arg) || (typeof arg === 'object' && arg !== null && Object.values(arg).some(isShared)),
  );
}

function isShared(value: unknown): boolean {
  return types.isSharedArrayBuffer(ArrayBuffer.isView(value) ? value.buffer : value);
}
