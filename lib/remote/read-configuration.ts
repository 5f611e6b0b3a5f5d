// What a manager on another host says of the worker that it wants.

import { ProtocolError } from '../errors.js';
import type { RemoteConfiguration, WorkerConfiguration } from '../runtime/configuration.js';
import type { ModulePlaces } from '../task/module-map.js';
import { decodeForeign } from '../wire/foreign.js';

const MAX_U32 = 2 ** 32 - 1;

/** @throws ProtocolError (ERR_BOSUN_PROTOCOL) for what no manager of ours would say. */
export function readConfiguration(payload: Uint8Array, places: ModulePlaces): WorkerConfiguration {
  const said = decodeForeign(payload, 0, payload.byteLength);
  if (!isConfiguration(said)) throw new ProtocolError('a manager has said nothing of use about its worker');
  const { worker, levels, maxFrameBytes, concurrency, policy, setup, there } = said;
  const { timeoutMs, deadlineMs, maxRetries, maxCrashes, flags } = policy;
  return {
    worker,
    levels,
    maxFrameBytes,
    concurrency,
    policy: { timeoutMs, deadlineMs, maxRetries, maxCrashes, flags, backoff: undefined },
    ...(setup !== undefined && { setup: { module: setup.module, exportName: setup.exportName } }),
    logFile: false,
    remote: { there, places },
  };
}

function isConfiguration(value: unknown): value is RemoteConfiguration {
  if (!isObject(value)) return false;
  const { worker, levels, maxFrameBytes, concurrency, policy, setup, there } = value;
  if (!isWithin(worker, MAX_U32) || !isWithin(maxFrameBytes, 2 ** 31)) return false;
  if (!isWithin(levels, 128) || !isWithin(concurrency, 1024) || levels === 0 || concurrency === 0) return false;
  if (typeof there !== 'string' || !/^file:.*\/$/.test(there)) return false;
  return isPolicy(policy) && (setup === undefined || isTarget(setup));
}

function isPolicy(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { timeoutMs, deadlineMs, maxRetries, maxCrashes, flags } = value;
  return (
    [timeoutMs, deadlineMs].every((time) => isWithin(time, MAX_U32)) &&
    isWithin(maxRetries, 0xffff) &&
    isWithin(maxCrashes, 0xff) &&
    isWithin(flags, 0xff)
  );
}

function isTarget(value: unknown): boolean {
  return isObject(value) && typeof value['module'] === 'string' && typeof value['exportName'] === 'string';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isWithin(value: unknown, most: number): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= most;
}
