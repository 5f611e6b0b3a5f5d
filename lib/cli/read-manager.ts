// A manager whose messages the command reads.

import { BosunError, WorkerStartError } from '../errors.js';
import { ProcessManager } from '../manager/process-manager.js';
import type { RunOptions, ScheduleOptions, TaskHandle } from '../task/manager.js';
import type { RunTarget } from '../task/target.js';
import type { Task } from '../task/task.js';

/** Tells when there is something new to wait for: `messages()` ends whenever nothing is left. */
export class ReadManager extends ProcessManager {
  #wake: (() => void) | undefined;

  override schedule<R>(task: Task<R>, priority?: number | ScheduleOptions): TaskHandle<R> {
    const handle = super.schedule(task, priority);
    this.#wake?.();
    return handle;
  }

  override run<R>(target: RunTarget, args?: readonly unknown[], options?: RunOptions): Promise<R> {
    const result = super.run<R>(target, args, options);
    this.#wake?.();
    return result;
  }

  override sendMessage(message: unknown): void {
    super.sendMessage(message);
    this.#wake?.();
  }

  override messages(): never {
    throw new BosunError(
      'ERR_BOSUN_MANAGER_BUSY',
      'bosun run reads messages() itself, and prints them: to read them yourself, make a ProcessManager and run it by node',
    );
  }

  /** Every message, until `finished` has settled and nothing is left. */
  async *everything(finished: Promise<unknown>): AsyncGenerator<unknown> {
    let open = true;
    const close = () => {
      open = false;
      this.#wake?.();
    };
    finished.then(close, close);
    for (;;) {
      // Asked before the reading: what is scheduled later is read by the next round.
      const last = !open;
      yield* super.messages();
      if (last) return;
      await this.#activity(() => open);
    }
  }

  /** Rejects when workers cannot be set up, and never settles otherwise. @throws WorkerStartError */
  async startFailure(): Promise<never> {
    await this.ready().catch((error: unknown) => {
      if (error instanceof WorkerStartError) throw error;
    });
    return new Promise<never>(() => {});
  }

  #activity(isOpen: () => boolean): Promise<void> {
    if (!isOpen()) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }
}
