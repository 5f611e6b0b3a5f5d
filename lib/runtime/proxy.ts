// A worker's view of a manager by the reference dialogue alone: one request, one answer, over any stream.

import { once } from 'node:events';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ConnectionOptions } from 'node:tls';
import { builtin } from '../builtin.js';
import { ConnectionResetError, DataCloneError, InvalidArgumentError, ProtocolError } from '../errors.js';
import { integer, ownOptions } from '../own-options.js';
import type { TaskContext } from '../task/context.js';
import { encodeSpec } from '../task/encode.js';
import { friends } from '../task/graph-task.js';
import { CloseRequest, type Manager, type RunOptions, type ScheduleOptions, type TaskHandle } from '../task/manager.js';
import { assertSchedulable } from '../task/readiness.js';
import { priorityIn } from '../task/schedule-options.js';
import { refuseResult, ScheduledElsewhere } from '../task/scheduled-elsewhere.js';
import { equip, revive, specName, type TaskSpec } from '../task/spec.js';
import { choosePriority, type RunTarget } from '../task/target.js';
import { Task } from '../task/task.js';
import { checkForeign } from '../wire/foreign.js';
import { FRAME, type Frame } from '../wire/frame.js';
import { decodePayload, encodePayload } from '../wire/payload.js';
import { receiveBytes, sendBytes } from '../wire/stream.js';

/** Options of a Proxy. */
export interface ProxyOptions {
  /** The manager's token, sent in the first frame; without one no such frame is sent. */
  readonly token?: string | Uint8Array;
  /** Options of `tls.connect`, for a manager that listens with TLS; `{}` when its certificate is known here. */
  readonly tls?: ConnectionOptions;
  /** The levels that the manager has; 2 unless given. */
  readonly priorityLevels?: number;
}

/**
 * A worker loop of one's own: asks a manager for tasks, one at a time, and forwards what they schedule and send. The
 * workers that a ProcessManager starts do the same in batches.
 *
 * @example
 * const proxy = new Proxy('/run/app/manager.sock');
 * await proxy.setup();
 * let task = await proxy.nextTask();
 * while (!(task instanceof CloseRequest)) {
 *   await task?.run(contextOf(proxy));
 *   task = await proxy.acknowledgeAndNextTask();
 * }
 */
export class Proxy implements Manager, AsyncDisposable {
  readonly #address: string | { readonly host?: string; readonly port: number } | Duplex;
  readonly #token: Uint8Array | undefined;
  readonly #tls: ConnectionOptions | undefined;
  readonly #levels: number;
  #stream: Duplex | undefined;
  /** The dialogue is strictly one at a time: each request begins when the one before it was answered. */
  #last: Promise<unknown> = Promise.resolve();
  #scheduled = 0;
  /** It came while another answer was awaited. */
  #closeRequest: CloseRequest | undefined;

  /** @param address a Unix path, `{ host, port }`, or a stream that is connected already. */
  constructor(
    address: string | { readonly host?: string; readonly port: number } | Duplex,
    options: ProxyOptions = {},
  ) {
    if (address === undefined || address === null)
      throw new InvalidArgumentError('a Proxy needs an address or a stream');
    this.#address = address;
    const { token, tls, priorityLevels = 2 } = ownOptions(options, 'the options of a Proxy');
    this.#token = typeof token === 'string' ? Buffer.from(token) : token;
    this.#tls = tls;
    this.#levels = integer('priorityLevels', priorityLevels, 1, 128);
  }

  /** Connects. @throws ConnectionResetError (ERR_BOSUN_CONNECTION_RESET) when nobody listens there. */
  async setup(): Promise<void> {
    const address = this.#address;
    if (typeof address === 'object' && 'read' in address) {
      this.#stream = address;
    } else {
      const at = typeof address === 'string' ? { path: address } : { host: '127.0.0.1', ...address };
      const socket = this.#tls === undefined ? connect(at) : builtin('node:tls').connect({ ...at, ...this.#tls });
      try {
        await once(socket, this.#tls === undefined ? 'connect' : 'secureConnect');
      } catch (error) {
        throw new ConnectionResetError(`no manager can be reached at ${JSON.stringify(address)}`, { cause: error });
      }
      this.#stream = socket;
    }
    // The end of the stream is reported by the read that meets it.
    this.#stream.on('error', () => {});
    if (this.#token !== undefined) await sendBytes(this.#stream, FRAME.HELLO, this.#token);
  }

  /** Idle, next please: a task, null when none waits now, or the request to finish. */
  nextTask(): Promise<Task | CloseRequest | null> {
    return this.#ask(FRAME.NEXT);
  }

  /** Done, next please. */
  acknowledgeAndNextTask(): Promise<Task | CloseRequest | null> {
    return this.#ask(FRAME.DONE);
  }

  /**
   * Sends the task; the calls behind it wait until the manager has accepted it.
   *
   * @throws OutOfRangeError, NotPortableError; InvalidArgumentError for `to`.
   * @throws DataCloneError (ERR_BOSUN_DATA_CLONE), with a token for all that is no plain value.
   */
  schedule<R>(task: Task<R>, priority?: number | ScheduleOptions): TaskHandle<R> {
    assertSchedulable(task);
    const own = priorityIn(priority);
    const spec = equip(task, false);
    const level = choosePriority(own, task.priority, this.#levels);
    const payload = this.#portable(encodeSpec(spec), `task '${specName(spec)}'`);
    this.#scheduled += 1;
    const accepted = this.#exchange(async (stream) => {
      await sendBytes(stream, FRAME.SCHEDULE + level, payload);
      await this.#receiveAcceptance(stream, FRAME.SCHEDULED);
    });
    // Whoever calls next meets the same dead stream.
    accepted.catch(() => {});
    const handle = new ScheduledElsewhere(this.#scheduled, task);
    friends.hold(task, handle);
    friends.begin(task, handle, 'queue');
    return handle;
  }

  /** The dialogue has no results: schedule the task, and let it send a message. @throws BosunError ERR_BOSUN_NO_RESULT_HERE */
  run<R>(_target: RunTarget, _args?: readonly unknown[], _options?: RunOptions): Promise<R> {
    refuseResult();
  }

  /**
   * Resolves when the manager has accepted the message.
   *
   * @throws DataCloneError (ERR_BOSUN_DATA_CLONE) at the call, with a token for all that is no plain value.
   */
  sendMessage(message: unknown): Promise<void> {
    const payload = this.#portable(encodePayload(message, 'message'), 'the message');
    const accepted = this.#exchange(async (stream) => {
      await sendBytes(stream, FRAME.MESSAGE, payload);
      await this.#receiveAcceptance(stream, FRAME.MESSAGE);
    });
    // Not every sender waits.
    accepted.catch(() => {});
    return accepted;
  }

  /** Ends the connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last.catch(() => {});
    this.#stream?.destroy();
  }

  /** A copy. @throws DataCloneError when it is for a manager that listens, and that would refuse it. */
  #portable(payload: Uint8Array, what: string): Uint8Array {
    if (this.#token === undefined) return Uint8Array.from(payload);
    try {
      checkForeign(payload, 0, payload.byteLength);
    } catch (cause) {
      const plain = 'null, booleans, numbers, strings, Buffers, arrays and plain objects';
      throw new DataCloneError(`${what} holds more than a listening manager takes from a peer: ${plain}`, { cause });
    }
    return Uint8Array.from(payload);
  }

  #ask(type: number): Promise<Task | CloseRequest | null> {
    return this.#exchange(async (stream) => {
      // Between requests only the request to finish arrives, and it answers the next one; that a task is done is said still.
      const isTold = this.#closeRequest !== undefined || stream.readableLength > 0;
      if (!isTold || type === FRAME.DONE) await sendBytes(stream, type, new Uint8Array(0));
      return this.#closeRequest ?? toTask(await receiveBytes(stream));
    });
  }

  /** The request to finish may come before the answer. */
  async #receiveAcceptance(stream: Duplex, type: number): Promise<void> {
    let frame = await receiveBytes(stream);
    if (frame.type === FRAME.CLOSE) {
      this.#closeRequest = toCloseRequest(frame);
      frame = await receiveBytes(stream);
    }
    if (frame.type !== type || frame.payload.byteLength > 0) {
      throw new ProtocolError(`a frame of type ${frame.type} is no answer to what was sent`);
    }
  }

  #exchange<T>(dialogue: (stream: Duplex) => Promise<T>): Promise<T> {
    const stream = this.#stream;
    if (stream === undefined) return Promise.reject(new ConnectionResetError('call setup() first'));
    const answer = this.#last.catch(() => {}).then(() => dialogue(stream));
    this.#last = answer;
    return answer;
  }
}

function toCloseRequest({ payload }: Frame): CloseRequest {
  return new CloseRequest(payload[0] === 1);
}

async function toTask(frame: Frame): Promise<Task | CloseRequest | null> {
  const { type, payload } = frame;
  if (type === FRAME.CLOSE) return toCloseRequest(frame);
  if (type !== FRAME.TASK) throw new ProtocolError(`a frame of type ${type} is no answer to a request for a task`);
  if (payload.byteLength === 0) return null;
  const spec = decodePayload(payload) as TaskSpec;
  const body = await revive(spec);
  return new Task(specName(spec), (ctx: TaskContext) => body.run(ctx));
}
