// What a Worker is to run, as users give it, and as it travels.

import { NotPortableError } from '../errors.js';
import type { ContextTarget, TravellingTarget } from '../runtime/target-loop.js';
import {
  exportOf,
  importModule,
  parseTarget,
  type RunTarget,
  splitTarget,
  type TargetReference,
} from '../task/target.js';
import { within } from '../within.js';

// biome-ignore lint/suspicious/noExplicitAny: any function is one, and only `any` accepts them all
export type TargetFunction = (...args: any[]) => unknown;

/**
 * An export of a module, as for `manager.run`; or a function that a module exports, which is looked for in the modules
 * that the call comes from.
 */
export type WorkerTarget = RunTarget | TargetFunction;

/** Checked at the call; a function is looked for behind it. */
export function travellingTarget(
  target: WorkerTarget,
  allowInline: boolean,
): TravellingTarget | Promise<TravellingTarget> {
  if (typeof target === 'function') {
    return allowInline ? { source: Function.prototype.toString.call(target) } : find(target, callers());
  }
  return parseTarget(target);
}

/** What an owner sends. */
export type SentTarget = TravellingTarget | ContextTarget;

/** For another host: its server resolves the path, and knows the context. @throws NotPortableError for a function. */
export function remoteTarget(
  target: WorkerTarget | undefined,
  context: { readonly id: string } | string | undefined,
): SentTarget {
  if (context === undefined) return remoteReference(target as WorkerTarget);
  const own = target === undefined ? {} : remoteReference(target);
  return { ...own, context: typeof context === 'string' ? context : context.id };
}

/** @throws NotPortableError for a function. */
export function remoteReference(target: WorkerTarget): TargetReference {
  if (typeof target === 'function') {
    throw new NotPortableError(
      'a function cannot travel to another host: give { module, export }, as the server has it',
    );
  }
  if (typeof target === 'string') return splitTarget(target);
  if (target instanceof URL) return splitTarget(target.href);
  const { module, export: exportName } = target;
  return { module: module instanceof URL ? module.href : module, exportName: exportOf(exportName) };
}

/** The modules whose functions are being called now, the innermost first. */
function callers(): string[] {
  const holder: { stack?: string } = {};
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 50;
  Error.captureStackTrace(holder, travellingTarget);
  Error.stackTraceLimit = stackTraceLimit;
  const urls = [...(holder.stack ?? '').matchAll(/(file:\/\/[^\s()]+?):\d+:\d+/g)].map((match) => match[1] as string);
  return [...new Set(urls)];
}

/** A module that waits for its own worker at its top level never finishes loading. */
const LOAD_MS = 500;

/** They are loaded, as a rule, so to import them again runs nothing. */
async function find(target: TargetFunction, urls: readonly string[]): Promise<TravellingTarget> {
  for (const module of urls) {
    try {
      const imported = Promise.resolve(importModule(module));
      if (!(await within(LOAD_MS, imported))) continue;
      const namespace = await imported;
      const exportName = Object.keys(namespace).find((key) => namespace[key] === target);
      if (exportName !== undefined) return { module, exportName };
    } catch {
      // It is no module, or failed to load: it exports nothing.
    }
  }
  throw new NotPortableError(
    `the function ${target.name || 'without a name'} is no export of a module that called: export it, or give ` +
      '{ module, export }; `allowInline: true` sends its text instead, which sees nothing of what is around it',
  );
}
