// The hands of a crew in the last rows of the terminal, one row each.

import { readFile } from 'node:fs/promises';
import type { Boss } from '../crew/boss.js';
import type { Hand, HandState } from '../crew/hand.js';
import { clock } from '../figures.js';
import { BottomRows } from './bottom-rows.js';
import { CrewLines } from './crew-lines.js';
import type { View } from './job.js';
import { type Paint, type Palette, paletteOf } from './paint.js';
import { nameOf } from './state-tree.js';

const FRAME_MS = 500;

/** Of a page, where /proc counts in pages. */
const PAGE_KIB = 4;

const PAINTS: { readonly [state in HandState]: keyof Palette } = {
  idle: 'dim',
  starting: 'yellow',
  registered: 'green',
  ending: 'yellow',
  waiting: 'red',
  over: 'dim',
};

/** What becomes of the hands scrolls above it. */
export class CrewTable implements View {
  readonly shown = true;
  readonly #boss: Boss;
  readonly #lines: CrewLines;
  readonly #rows: BottomRows;
  readonly #memory = new Map<number, string>();
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(boss: Boss) {
    this.#boss = boss;
    this.#rows = new BottomRows(process.stderr, boss.crew.size + 1);
    this.#rows.take();
    this.#lines = new CrewLines(boss);
    for (const event of ['handRegistered', 'handExit', 'memo'] as const) boss.on(event, this.#draw);
    this.#draw();
    void this.#tick();
  }

  stop(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#lines.stop();
    for (const event of ['handRegistered', 'handExit', 'memo'] as const) this.#boss.off(event, this.#draw);
    this.#rows.release();
    process.stderr.write(`${this.#text(Number.POSITIVE_INFINITY)}\n`);
  }

  async #tick(): Promise<void> {
    await Promise.all([...this.#boss.crew.values()].map((hand) => this.#measure(hand)));
    if (this.#isOver) return;
    this.#draw();
    this.#timer = setTimeout(() => void this.#tick(), FRAME_MS).unref();
  }

  /** Of a process that is resident; only Linux tells without another program. */
  async #measure({ pid, isAlive }: Hand): Promise<void> {
    if (pid === undefined || process.platform !== 'linux') return;
    if (!isAlive) this.#memory.delete(pid);
    else {
      const text = await readFile(`/proc/${pid}/statm`, 'utf8').catch(() => '');
      const pages = Number(text.split(' ')[1]);
      if (pages > 0) this.#memory.set(pid, `${Math.round((pages * PAGE_KIB) / 1024)} MB`);
    }
  }

  readonly #draw = (): void => this.#rows.write(this.#text(this.#rows.height));

  #text(most: number): string {
    const paint = paletteOf(process.stderr);
    const hands = [...this.#boss.crew.values()];
    const wide = Math.max(4, ...hands.map(({ name }) => name.length)) + 2;
    const head = `${'hand'.padEnd(wide)}${'state'.padEnd(12)}${'pid'.padStart(8)}${'restarts'.padStart(10)}${'memory'.padStart(9)}  last memo`;
    if (hands.length + 1 <= most)
      return [paint.dim(head), ...hands.map((hand) => this.#row(hand, wide, paint))].join('\n');
    // Those that need somebody to look at them.
    const sorted = hands.toSorted((a, b) => rank(a) - rank(b)).slice(0, Math.max(0, most - 2));
    const rest = paint.dim(`… ${hands.length - sorted.length} more hands`);
    return [paint.dim(head), ...sorted.map((hand) => this.#row(hand, wide, paint)), rest].join('\n');
  }

  #row(hand: Hand, wide: number, paint: Palette): string {
    const { name, state, pid, restarts, isAlive, lastMemo } = hand;
    const memory = (isAlive && pid !== undefined ? this.#memory.get(pid) : undefined) ?? '';
    const color: Paint = paint[PAINTS[state]];
    const memo = lastMemo === undefined ? '' : `${since(lastMemo.at)} ago  ${nameOf(lastMemo.text.slice(0, 200))}`;
    const left = [String(isAlive ? (pid ?? '') : '').padStart(8), String(restarts).padStart(10), memory.padStart(9)];
    const plain = [name.padEnd(wide), state.padEnd(12), ...left, `  ${memo}`].join('').slice(0, process.stderr.columns);
    return plain.slice(0, wide) + color(plain.slice(wide, wide + 12)) + plain.slice(wide + 12);
  }
}

/** Of whole seconds. */
function since(at: number): string {
  const seconds = Math.max(0, Math.floor((Date.now() - at) / 1_000));
  return seconds < 60 ? `${seconds} s` : clock(seconds);
}

/** The lower, the more it is worth a row. */
function rank({ state, restarts }: Hand): number {
  if (state === 'waiting') return 0;
  if (state === 'starting' || state === 'ending') return 1;
  return restarts > 0 ? 2 : 3;
}
