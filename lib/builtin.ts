// Parts of Node.js that few programs use: to import them costs every process milliseconds of its start.

interface Builtins {
  readonly 'node:crypto': typeof import('node:crypto');
  readonly 'node:readline': typeof import('node:readline');
  readonly 'node:tls': typeof import('node:tls');
  readonly 'node:zlib': typeof import('node:zlib');
  readonly 'node:worker_threads': typeof import('node:worker_threads');
}

/** A module of Node.js, loaded when it is asked for. */
export function builtin<Name extends keyof Builtins>(name: Name): Builtins[Name] {
  return process.getBuiltinModule(name);
}
