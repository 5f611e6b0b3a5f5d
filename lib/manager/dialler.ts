// A worker on another host that the manager dials: again and again, as long as that makes sense.

import { type LossDetails, WorkerStartError } from '../errors.js';
import { encodeJoin, ROLE } from '../wire/first-frame.js';
import { dial, ownToken } from '../worker/remote-place.js';
import { Deaths, MAX_RETRY_MS, retryAfter } from './backoff.js';
import type { RemoteSettings } from './options.js';
import type { RemoteMember } from './remote-member.js';

export interface DiallerOwner {
  /** As of the manager: processes that may end, so often within so long, without having ended a task. */
  readonly restart: { readonly max: number; readonly within: number };
  /** Makes a member of a socket that is about to be connected. @throws when there is no room for it. */
  join(socket: ReturnType<typeof dial>, host: string): RemoteMember;
  /** It is dialled again after so long; never again when that is Infinity. */
  troubled(error: WorkerStartError, retryMs: number): void;
}

export class Dialler {
  readonly #settings: RemoteSettings;
  readonly #owner: DiallerOwner;
  #member: RemoteMember | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** In a row, since it was last set up. */
  #failures = 0;
  readonly #deaths: Deaths;
  #isOver = false;
  #hasJoined = false;

  constructor(settings: RemoteSettings, owner: DiallerOwner) {
    this.#settings = settings;
    this.#owner = owner;
    this.#deaths = new Deaths(owner.restart);
  }

  /** True until it was set up once, or there is no hope for that. */
  get isAwaited(): boolean {
    return !this.#hasJoined && !this.#isOver;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** @throws as `join` of its owner. */
  dial(): RemoteMember {
    const { at, token, tls } = this.#settings;
    const socket = dial(at, tls, encodeJoin(ROLE.MANAGER, token ?? ownToken(at)));
    this.#member = this.#owner.join(socket, this.#place);
    return this.#member;
  }

  /** For people. */
  get #place(): string {
    const { at } = this.#settings;
    if ('path' in at) return at.path;
    return `${at.host.includes(':') ? `[${at.host}]` : at.host}:${at.port}`;
  }

  owns(member: object): boolean {
    return member === this.#member;
  }

  /** To be called when it has been set up. */
  joined(): void {
    this.#hasJoined = true;
    this.#failures = 0;
  }

  /** To be called when it is gone, whatever the reason. */
  ended(member: RemoteMember, exit: LossDetails): void {
    if (this.#isOver) return;
    const error = this.#errorOf(member, exit);
    // That a host cannot be reached, or a link was cut, may be over at any time.
    const { startError, exit: said, endReason, tasksEnded } = member;
    const hasDied = said !== undefined && endReason === undefined && tasksEnded === 0;
    if ((startError !== undefined || hasDied) && this.#deaths.add()) {
      this.#isOver = true;
      process.emitWarning(`${error.message}; it is given up`, { code: 'BOSUN_W007' });
      this.#owner.troubled(error, Number.POSITIVE_INFINITY);
      return;
    }
    this.#failures += 1;
    const retryMs = retryAfter(this.#failures);
    this.#timer = setTimeout(() => this.#again(), retryMs).unref();
    if (member.wasReady) return;
    // Once for each time of need, however long it takes.
    if (this.#failures === 1 || !this.#hasJoined) this.#owner.troubled(error, retryMs);
    if (this.#failures === 2) {
      process.emitWarning(`${error.message}; it is tried again until it works`, { code: 'BOSUN_W007' });
    }
  }

  #again(): void {
    try {
      this.dial();
    } catch (cause) {
      const retryMs = MAX_RETRY_MS;
      this.#timer = setTimeout(() => this.#again(), retryMs).unref();
      this.#owner.troubled(new WorkerStartError(`${this.#name} cannot be dialled`, { cause }), retryMs);
    }
  }

  get #name(): string {
    return `the remote worker at ${this.#place}`;
  }

  #errorOf({ startError, linkError, exit: said }: RemoteMember, exit: LossDetails): WorkerStartError {
    const cause = startError ?? linkError;
    if (cause !== undefined) {
      return new WorkerStartError(`${this.#name} is not there: ${(cause as Error).message}`, { cause });
    }
    if (said === undefined) {
      return new WorkerStartError(`${this.#name} is not there: it hung up. Are its token and its TLS what it expects?`);
    }
    const how = exit.exitSignal ?? `exit code ${exit.exitCode}`;
    const why = exit.reason === undefined ? '' : `: ${exit.reason}`;
    return new WorkerStartError(`${this.#name} ended with ${how} before it had ended a task${why}`);
  }

  /** It is not dialled any more. */
  stop(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }
}
