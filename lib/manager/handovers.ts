// Arguments of tasks that bytes cannot carry, on their way to the thread that runs the task.

import { types } from 'node:util';
import type { MessageChannel, TransferListItem } from 'node:worker_threads';
import { builtin } from '../builtin.js';
import { DataCloneError } from '../errors.js';

/** What is handed over, and what of it is moved. */
export interface Handed {
  readonly values: readonly unknown[];
  readonly transferList: readonly TransferListItem[];
}

/** What is sent through it is read at once. */
let loop: MessageChannel | undefined;

/** They are cloned, and moved, when the task is submitted; the thread that begins it is sent what has become of them. */
export class Handovers {
  readonly #handed = new Map<number, Handed>();
  #count = 0;

  /** @throws DataCloneError (ERR_BOSUN_DATA_CLONE) for what no thread could have either; nothing has been moved then. */
  give(values: readonly unknown[], transferList: readonly TransferListItem[]): number {
    const { MessageChannel, receiveMessageOnPort } = builtin('node:worker_threads');
    loop ??= new MessageChannel();
    const { port1, port2 } = loop;
    try {
      port1.postMessage({ values, transferList } satisfies Handed, [...transferList]);
    } catch (cause) {
      throw new DataCloneError(`the arguments cannot go to another thread: ${(cause as Error).message}`, { cause });
    }
    this.#count += 1;
    this.#handed.set(this.#count, receiveMessageOnPort(port2)?.message as Handed);
    return this.#count;
  }

  /** Once. */
  take(number: number): Handed | undefined {
    const handed = this.#handed.get(number);
    this.#handed.delete(number);
    return handed;
  }

  /** Nobody will take them any more: the other ends of ports that were moved hear of it. */
  drop(number: number): void {
    const { MessagePort } = builtin('node:worker_threads');
    for (const item of this.take(number)?.transferList ?? []) if (item instanceof MessagePort) item.close();
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
