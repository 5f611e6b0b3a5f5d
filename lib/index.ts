// The public face: re-exports only.

export { AddressBook } from './crew/address-book.js';
export { Boss, Boss as Bosser, type BossEvents } from './crew/boss.js';
export type { BossOptions } from './crew/boss-options.js';
export { CrewLoad, type CrewLoadOptions, type Restart } from './crew/crew-load.js';
export { type BossAddress, Crewer, type CrewerEvents } from './crew/crewer.js';
export { DoDoer, type DoDoerOptions } from './crew/do-doer.js';
export {
  type Deeds,
  Doer,
  type DoerOptions,
  type Doing,
  type DoOptions,
  type Recurred,
  type Rest,
} from './crew/doer.js';
export type { DoerSpec, PlainDoerSpec } from './crew/doer-spec.js';
export {
  type DoFunction,
  type DoFunctionOptions,
  type DoifyOptions,
  doify,
  doize,
  type FunctionDoer,
} from './crew/doify.js';
export { Doist } from './crew/doist.js';
export type { DoistDoOptions, DoistOptions } from './crew/doist-options.js';
export type { Grams } from './crew/grams.js';
export type { Hand, HandExit, HandState } from './crew/hand.js';
export { Memo } from './crew/memo.js';
export { type DropReason, Memoer, type MemoerOptions } from './crew/memoer.js';
export {
  AckDom,
  AddrDom,
  BokDom,
  type ControlMemo,
  EndDom,
  formatMemo,
  MemoDom,
  type MemoDomClass,
  type MemoDomOptions,
  type MemoLoad,
  type ParsedMemo,
  parseMemo,
  RegDom,
  TagDex,
} from './crew/memos.js';
export { type CrewMemo, MultiDoerBase, type MultiDoerOptions } from './crew/multi-doer.js';
export { type GramSource, Peer, type PeerEvents, type PeerOptions } from './crew/peer.js';
export { type MemoDrop, PeerMemoer, type PeerMemoerEvents, type PeerMemoerOptions } from './crew/peer-memoer.js';
export type { DeedInfo } from './crew/schedule.js';
export type { Strategy } from './crew/supervisor.js';
export { Tymee } from './crew/tymee.js';
export { Tymer, type TymerOptions } from './crew/tymer.js';
export { Tymist, type TymistOptions, type Tymth } from './crew/tymist.js';
export * from './errors.js';
export { Journal, type JournalBeginOptions, type JournalEntry, type JournalOptions } from './graph/journal.js';
export type { DroppedTail, SyncMode } from './graph/record-file.js';
export { type GraphReportOptions, graphReport } from './graph/report.js';
export { ClosePolicy, type CloseReport, type WorkerExit } from './manager/close.js';
export type {
  ProcessManagerEvents,
  TaskEndEvent,
  TaskQueuedEvent,
  TaskRetryEvent,
  WorkerEvent,
} from './manager/events.js';
export type { ListenOptions } from './manager/listen-options.js';
export type { ListenAddress } from './manager/listener.js';
export { LocalManager, type LocalManagerOptions } from './manager/local-manager.js';
export type { AddWorkerOptions, ProcessManagerOptions, RemoteWorkerOptions } from './manager/options.js';
export { ProcessManager } from './manager/process-manager.js';
export type { Latency, ManagerStats, TaskTally } from './manager/stats.js';
export { withManager } from './manager/with-manager.js';
export type { WorkerInfo } from './manager/worker-set.js';
export type { Source } from './pool/job.js';
export { Pool } from './pool/pool.js';
export type { PersistentWorkerClass, PoolOptions, PoolWorkerOptions } from './pool/pool-options.js';
export type { PoolResult, PoolWorkerEvent, RunOptions as PoolRunOptions } from './pool/run-options.js';
export { closeServer } from './remote/close-server.js';
export { type ContextWorkerOptions, RemoteContext, type RemoteContextOptions } from './remote/remote-context.js';
export {
  RemoteServer,
  type RemoteServerOptions,
  type RunServerHooks,
  runServer,
  type ServerAddress,
} from './remote/remote-server.js';
export { RemoteServerProcess, spawnServer } from './remote/spawn-server.js';
export { type SshServerOptions, sshServer, type TunnelAddress } from './remote/ssh-server.js';
export { Proxy, type ProxyOptions } from './runtime/proxy.js';
export { BaseTask, type BaseTaskOptions } from './task/base-task.js';
export { Chain } from './task/chain.js';
export { currentContext, type Logger, type Session, type TaskContext, type WorkerId } from './task/context.js';
export type { DotOptions } from './task/dot.js';
export { FSM } from './task/fsm.js';
export type { MachineDotOptions } from './task/fsm-dot.js';
export { type GraphDotOptions, graphAsDot } from './task/graph-dot.js';
export {
  durationsOf,
  type GraphNode,
  type GraphSnapshot,
  type SnapshotOptions,
  snapshotOf,
} from './task/graph-snapshot.js';
export { type GraphSvgOptions, graphAsSvg } from './task/graph-svg.js';
export type { FSMOptions } from './task/machine-kind.js';
export { make, makeLater, makeNow } from './task/make.js';
export type { DispatchQueue, Durations, MakeOptions } from './task/make-options.js';
export { CloseRequest, type Manager, type RunOptions, type ScheduleOptions, type TaskHandle } from './task/manager.js';
export { NullManager } from './task/null-manager.js';
export type { LimitOptions, RetryCause, RetryPolicy } from './task/policy.js';
export { type RunEvent, type RunPhase, RunState, type RunStateOptions } from './task/run-state.js';
export type { RunTarget, TargetReference } from './task/target.js';
export { Task, type TaskFunction } from './task/task.js';
export type { TaskJson } from './task/task-json.js';
export type { TaskOptions } from './task/task-options.js';
export {
  type TasksDotOptions,
  type TasksSvgOptions,
  tasksAsDot,
  tasksAsSvg,
} from './task/task-pictures.js';
export { TaskQueue, type TaskQueueOptions } from './task/task-queue.js';
export type { QueueRunOptions } from './task/task-queue-run.js';
export type { TaskEvent, TaskState } from './task/task-states.js';
export type { Transition, TransitionExtra, Transitions } from './task/transitions.js';
export { encodeFrame, FRAME, type Frame, FrameDecoder } from './wire/frame.js';
export {
  type ReceivedMessage,
  type ReceiveOptions,
  receiveBytes,
  receiveMessage,
  receiveType,
  sendBytes,
  sendMessage,
  sendType,
} from './wire/stream.js';
export { type ConnectOptions, connect, type Remote, workerOf } from './worker/connect.js';
export {
  PersistentProcessWorker,
  PersistentRemoteWorker,
  PersistentThreadWorker,
  PersistentWorker,
  type PersistentWorkerOptions,
  type RestartOptions,
} from './worker/persistent-worker.js';
export type { TargetFunction, WorkerTarget } from './worker/target.js';
export {
  ProcessWorker,
  RemoteWorker,
  type TerminateOptions,
  ThreadWorker,
  Worker,
  type WorkerEvents,
  type WorkerIdentity,
} from './worker/worker.js';
export type { WorkerState } from './worker/worker-life.js';
export { type WorkerContext, type WorkerOptions, WorkerType } from './worker/worker-options.js';
export type { WorkerEndDetails } from './worker/worker-run.js';
