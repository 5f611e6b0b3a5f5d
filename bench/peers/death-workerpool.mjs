// The worker script of workerpool for death.mjs.

import workerpool from 'workerpool';
import { die, echo } from './death-task.mjs';

workerpool.worker({ die, echo });
