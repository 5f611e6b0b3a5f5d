// @ts-check
// Reads one file once, for its hash and its size after compression.

import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createBrotliCompress, constants as zlib } from 'node:zlib';

/** @import { Stats } from 'node:fs' */
/** @import { FileHandle } from 'node:fs/promises' */

/** Files larger than this tell how far they are each time that they have read as much again. */
export const TELL_BYTES = 4 * 1024 * 1024;

// Between the walk and its own task a file may have become a link, which must not be followed, or a fifo, whose opening
// would wait for a writer for ever. Windows has neither flag, and neither thing.
export const OPEN_FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/**
 * Streams a file through the hash and the compressor: memory does not grow with its size.
 *
 * @param {FileHandle} handle
 * @param {Stats} before
 * @param {number} quality
 * @param {AbortSignal} signal
 * @param {() => void} tell called for each TELL_BYTES
 */
export async function measure(handle, before, quality, signal, tell) {
  if (!before.isFile()) throw new ChangedError();
  const hash = createHash('sha256');
  let bytes = 0;
  let compressed = 0;
  await pipeline(
    handle.createReadStream({ autoClose: false }),
    async function* (/** @type {AsyncIterable<Buffer>} */ chunks) {
      for await (const chunk of chunks) {
        if (Math.floor(bytes / TELL_BYTES) < Math.floor((bytes + chunk.length) / TELL_BYTES)) tell();
        bytes += chunk.length;
        // A log that is written faster than it is read here would never end.
        if (bytes > before.size) throw new ChangedError();
        hash.update(chunk);
        yield chunk;
      }
    },
    createBrotliCompress({
      // The hint saves a small file the large window; it has 32 bits.
      params: { [zlib.BROTLI_PARAM_QUALITY]: quality, [zlib.BROTLI_PARAM_SIZE_HINT]: Math.min(before.size, 2 ** 30) },
    }),
    async (/** @type {AsyncIterable<Buffer>} */ chunks) => {
      for await (const chunk of chunks) compressed += chunk.length;
    },
    { signal },
  );
  const after = await handle.stat();
  if (bytes !== before.size || after.size !== before.size || after.mtimeMs !== before.mtimeMs) throw new ChangedError();
  return { sha256: hash.digest('hex'), compressed };
}

/** What was read is neither the old file nor the new one. */
export class ChangedError extends Error {
  code = 'CHANGED';

  constructor() {
    super('it changed while it was read');
  }
}
