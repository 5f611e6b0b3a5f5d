// SQLite: that of Node.js where it has one, else better-sqlite3.

/**
 * @typedef {object} Statement
 * @property {(...values: unknown[]) => unknown} run
 * @property {(...values: unknown[]) => any[]} all
 *
 * @typedef {object} Database
 * @property {(sql: string) => void} exec
 * @property {(sql: string) => Statement} prepare
 * @property {() => void} close
 */

/** @param {string} name @returns {Promise<any>} */
const load = (name) => import(name);

/** @param {string} file @returns {Promise<Database>} */
export async function openDatabase(file) {
  try {
    const { DatabaseSync } = await load('node:sqlite');
    return new DatabaseSync(file);
  } catch {
    const { default: Sqlite } = await load('better-sqlite3');
    return new Sqlite(file);
  }
}
