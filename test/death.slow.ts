// The ways and moments of death.test.ts that are not there.

import { describe } from 'node:test';
import { deathTests } from './fixtures/death-matrix.js';

describe('a worker that dies by', () => deathTests('slow'));
