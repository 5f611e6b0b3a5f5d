// The life of a program that is none of ours, and what it says: a line that means that it is ready, or why it is not.

import type { Readable, Writable } from 'node:stream';
import { builtin } from '../builtin.js';
import { ChildLife } from './child-life.js';

const KEPT_CHARS = 4_096;

/** In a session of its own: a terminal's Ctrl-C is its owner's, and it can ask nobody for a password. */
export class PipeLife extends ChildLife {
  #stderr = '';
  #isForwarding = false;

  constructor(command: string, args: readonly string[]) {
    super(command, args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    // It is gone: its exit tells.
    this.stdin.on('error', () => {});
    const stderr = this.child.stderr as Readable;
    stderr.setEncoding('utf8');
    stderr.on('data', (text: string) => {
      if (this.#isForwarding) process.stderr.write(text);
      else this.#stderr = (this.#stderr + text).slice(-KEPT_CHARS);
    });
  }

  /** It may end with the end of it. */
  get stdin(): Writable {
    return this.child.stdin as Writable;
  }

  /** What it has written to its standard error, before it was `ready`. */
  get stderr(): string {
    return this.#stderr.trim();
  }

  /**
   * Resolves to true when it has written that line, and to false when it writes no more. What else it writes goes where
   * ours goes from then on.
   */
  async ready(line: string): Promise<boolean> {
    const stdout = this.child.stdout as Readable;
    const lines = builtin('node:readline').createInterface({ input: stdout });
    for await (const text of lines) {
      if (text !== line) continue;
      this.#isForwarding = true;
      stdout.on('data', (chunk: Buffer) => process.stdout.write(chunk));
      stdout.resume();
      return true;
    }
    return false;
  }
}
