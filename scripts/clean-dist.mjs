// Removes compiled output whose source is gone, so that a deleted test cannot go on passing.
import { rmSync } from 'node:fs';

rmSync(new URL('../dist', import.meta.url), { recursive: true, force: true });
