import workerpool from 'workerpool';
import { TASKS } from '../tasks.mjs';

workerpool.worker(TASKS);
