// A server that ends when a client says so.

import { WorkerStartError } from '../errors.js';
import { checkKnown, ownOptions } from '../own-options.js';
import type { EndMessage } from '../runtime/target-loop.js';
import { SAY } from '../wire/line.js';
import { dialServer, type RemoteOptions } from '../worker/remote-place.js';
import { checkRemote } from '../worker/worker-options.js';

/**
 * Ends a server that was made with `closeOnNone`, and the workers that it has.
 *
 * @returns when it has heard it.
 * @throws InvalidArgumentError, OutOfRangeError for bad options.
 * @throws NotPortableError (ERR_BOSUN_NOT_PORTABLE) when it does not end for a client.
 * @throws WorkerStartError (ERR_BOSUN_WORKER_START) when it cannot be reached, or does not let us in.
 */
export async function closeServer(given: RemoteOptions): Promise<void> {
  const options = ownOptions(given, 'the options of closeServer');
  checkKnown(options, ['host', 'token', 'tls'], 'closeServer');
  checkRemote(options);
  const { line } = dialServer(options);
  try {
    await new Promise<void>((resolve, reject) => {
      line.onMessage = (type, value) => {
        if (type === SAY.EXIT) resolve();
        else if (type === SAY.END) reject(line.decodeError((value as EndMessage).error as Uint8Array));
      };
      line.onEnd = (cause) => reject(new WorkerStartError('the server did not hear that it is to end', { cause }));
      line.send(SAY.NONE);
    });
  } finally {
    line.destroy();
  }
}
