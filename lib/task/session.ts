// What the tasks of one worker share: HTTP connections, and what the user's set-up made.

import { createRequire } from 'node:module';
import type { Agent } from 'undici';
import type { Session } from './context.js';
import type { TargetReference } from './target.js';
import { functionOf, importModule } from './target.js';

type Undici = typeof import('undici');

const require = createRequire(import.meta.url);

/** A session and its end. */
export interface OwnedSession {
  readonly session: Session;
  /** Closes the connections and disposes of what set-up made. */
  close(): Promise<void>;
}

interface Disposable {
  [Symbol.asyncDispose]?(): PromiseLike<void>;
  [Symbol.dispose]?(): void;
}

/** The connections alone; undici, which costs tens of milliseconds to load, is loaded when it is first used. */
export function openSession(): OwnedSession {
  let agent: Agent | undefined;
  const undici = (): Undici => require('undici') as Undici;
  const dispatcher = (): Agent => {
    agent ??= new (undici().Agent)();
    return agent;
  };
  const session: Session = {
    fetch: (input, init) => undici().fetch(input, { dispatcher: dispatcher(), ...init }),
    get dispatcher() {
      return dispatcher();
    },
  };
  return { session, close: async () => agent?.destroy() };
}

/** The same, and what set-up makes. */
export async function createSession(setup: TargetReference | undefined): Promise<OwnedSession> {
  const { session, close } = openSession();
  let made: unknown;
  if (setup !== undefined) {
    made = await functionOf(await importModule(setup.module), setup.module, setup.exportName)();
    if (typeof made === 'object' && made !== null) {
      const { fetch: _fetch, dispatcher: _dispatcher, ...extra } = made as Record<string, unknown>;
      Object.assign(session, extra);
    }
  }
  return {
    session,
    async close() {
      const resource = made as Disposable | undefined;
      try {
        if (resource?.[Symbol.asyncDispose] !== undefined) await resource[Symbol.asyncDispose]?.();
        else resource?.[Symbol.dispose]?.();
      } finally {
        await close();
      }
    },
  };
}
