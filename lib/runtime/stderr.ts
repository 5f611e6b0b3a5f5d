// What a worker says last must arrive.

interface BlockingStream {
  readonly _handle?: { setBlocking?(on: boolean): void } | null;
}

/**
 * Lets writes to standard error wait for room when that is a pipe: Node.js would keep the rest in this process, and lose it
 * at `process.exit`. The stream is made when it is first used, so this costs a start nothing.
 */
export function completeStderr(): void {
  const property = Object.getOwnPropertyDescriptor(process, 'stderr');
  if (property?.get === undefined) return;
  const { get } = property;
  Object.defineProperty(process, 'stderr', {
    ...property,
    get(): NodeJS.WriteStream {
      const stream = get.call(process) as NodeJS.WriteStream;
      (stream as unknown as BlockingStream)._handle?.setBlocking?.(true);
      Object.defineProperty(process, 'stderr', property);
      return stream;
    },
  });
}
