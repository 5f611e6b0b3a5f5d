// What fork-join.test.ts tests, with more than one task at once.

import { forkJoinTests } from './fixtures/fork-join-tests.js';
import { makeManager } from './fixtures/scene.js';

forkJoinTests('three processes', (t) => makeManager(t, { workers: 3, minWorkers: 3 }));
forkJoinTests('a process that runs four at once', (t) => makeManager(t, { concurrency: 4 }));
