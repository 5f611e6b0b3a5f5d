// The dispatcher: which task goes to which worker, and what becomes of it. A state machine without I/O: a driver tells
// it "these bytes came from connection c" and is told "write these bytes to connection d".
//
// Who: one thread at a time, the one that holds the turn; only the queue and the slab take submissions from others.
// Cost: about one queue operation, one copy of the payload and one 25-byte header per task and direction.
// Not for: policies, timers, signals and reports; those are the owner's.
//
// A task is in exactly one place, and the counts say so at any time between two calls:
//
//     accepted = waiting + sent + held + done + failed + cancelled
//
//     Submit, schedule frame -> waiting -> sent -> done | failed | cancelled
//                                 ^ ^        |-> held -> (SettleLost) failed | cancelled
//                                 | |              '-> (Retry, when its time has come) the front of its level
//                                 | '-- unclaimed when its worker was lost or it was recalled: the front of its level
//                                 '---- likewise
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "dispatch/alarms.h"
#include "dispatch/connection.h"
#include "dispatch/forks.h"
#include "dispatch/histogram.h"
#include "dispatch/placed.h"
#include "dispatch/records.h"
#include "dispatch/slab.h"
#include "queue/priority_queue.h"

namespace bosun {

struct DispatcherOptions {
  std::uint32_t levels = 2;
  std::uint64_t max_frame_bytes = kDefaultMaxFrameBytes;
  std::uint32_t prefetch = 0;          // tasks sent ahead to a worker, the running one included; 0 sizes it by run time
  std::uint32_t inbox_mark = 10'000;   // messages above which acknowledgements wait for the reader
  std::uint32_t concurrency = 1;       // tasks that a worker runs at once
  std::uint32_t cores = 0;             // workers spin while fewer of them are busy; 0 is never
  std::uint64_t grace_us = 5'000'000;  // how long a task that was told to stop may take
  std::uint64_t max_queue = ~std::uint64_t{0};  // waiting tasks above which foreign submitters wait for their answer
  // Places for tasks, when one that waits for another keeps its own; 0: it gives it up for that time.
  std::uint32_t places = 0;
};

// Why the bytes of a peer were refused. The driver closes the connection, and nothing else is touched.
enum class Fault : std::uint8_t {
  kNone,
  kStaleConnection,
  kTooLarge,
  kUnknownType,
  kMalformed,
  kBadPriority,
  kBadSequence,
  kOutOfPlace,
  kFull,
};

enum class CancelOutcome : std::uint8_t {
  kUnknown,  // no such task, or it has ended
  kDropped,  // it waited; it is settled now
  kAsked,    // its worker has been told; the answer will come
};

enum class LostOutcome : std::uint8_t {
  kUnknown,
  kFailed,
  kCancelled,
  kTimedOut,
  kRetry,   // another attempt is allowed; the owner answers with Retry
  kPoison,  // one would be, but it has cost too many workers
};

struct Submission {
  std::uint64_t id = 0;
  std::uint32_t ticket = kNoTicket;
  std::uint32_t level = 0;
  std::uint8_t flags = 0;
  std::uint8_t max_crashes = 0;  // workers that it may cost, however many retries are left; 0 is no limit
  std::uint16_t max_retries = 0;
  std::uint32_t timeout_ms = 0;   // of one run; 0 is none
  std::uint32_t deadline_ms = 0;  // by when it must have begun; 0 is none
  std::uint32_t fork = kNoFork;   // of what a worker has scheduled
  std::uint32_t place = 0;        // where alone it may run; 0 is anywhere
};

// Where the tasks of a level, or all of them, are.
struct Tally {
  std::uint64_t accepted = 0, waiting = 0, sent = 0, held = 0, done = 0, failed = 0, cancelled = 0;

  std::uint64_t Left() const noexcept { return waiting + sent + held; }
};

struct Counts : Tally {
  std::uint64_t messages = 0;   // that arrived
  std::uint64_t discarded = 0;  // of them, never to be read
  std::uint64_t recalled = 0;   // tasks taken back from workers, or left unclaimed by dead ones
  std::uint64_t retried = 0;    // attempts after the first
  std::uint64_t fresh = 0;      // of those that wait: the owner's own that have never been sent
};

class Dispatcher {
 public:
  explicit Dispatcher(const DispatcherOptions& options) noexcept;
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  // ---- tasks ------------------------------------------------------------------
  // False, and a record for its ticket, when the slab is full. The owner checks the level.
  bool Submit(const Submission& submission, ByteSpan payload) noexcept;
  CancelOutcome Cancel(std::uint32_t ticket) noexcept;
  // The tickets of all tasks of a place that have not ended, in no particular order.
  std::vector<std::uint32_t> TicketsAt(std::uint32_t place) noexcept;
  // For the task, when it runs. One that is run again gets all of them again. False when there is no such task.
  bool SendTo(std::uint32_t ticket, ByteSpan letter) noexcept;
  // What becomes of a task that was reported as lost; any is cancelled when `dropped`.
  LostOutcome JudgeLost(std::uint32_t slot, bool dropped) noexcept;
  // Ends it so, unless another attempt is allowed. Of one that is cancelled, or timed out, a record says so; of a
  // failure nothing is recorded but its place in the inbox: true when it has one. `error` is for a task that waits.
  bool SettleLost(std::uint32_t slot, LostOutcome outcome, ByteSpan error) noexcept;
  // The next attempt of a task that was held, after a while. False when there is no such task.
  bool Retry(std::uint32_t slot, std::uint64_t delay_us) noexcept;
  // The time now, of the clock that workers write into their status pages; to be told before anything else in a turn.
  void set_now(std::uint64_t now_us) noexcept { now_us_ = now_us; }
  // When the next turn is due at the latest, on the same clock; 0 when nothing is.
  std::uint64_t next_due() const noexcept {
    const std::uint64_t alarm = alarms_.empty() ? 0 : alarms_.front().due_us;
    return alarm == 0 || (stuck_due_us_ != 0 && stuck_due_us_ < alarm) ? stuck_due_us_ : alarm;
  }

  // ---- connections ------------------------------------------------------------
  // The handle of a new connection; it carries a generation, so that a stale one is never another. With a place it is
  // given the tasks of that place too: the most urgent of both, and of one level what was submitted first.
  std::uint32_t Connect(std::uint32_t worker, SharedPage page, std::uint32_t place = 0) noexcept;
  void SendHello(std::uint32_t connection, ByteSpan configuration) noexcept;
  // The same for a peer that speaks the reference dialogue, one request at a time, and has been let in.
  std::uint32_t ConnectForeign(std::uint32_t worker) noexcept;
  // The same for a worker on another host: it shares no page, and what it says is read with care. Its payloads are
  // plain ones, so tasks with others are not given to it while there are local workers.
  std::uint32_t ConnectRemote(std::uint32_t worker) noexcept;
  // Local workers will come when tasks wait for them.
  void set_expects_local(bool expects_local) noexcept { expects_local_ = expects_local; }
  // The limits of what such peers schedule, who have no way to say any.
  void set_foreign_policy(const Submission& policy) noexcept { foreign_policy_ = policy; }
  // Sends nothing more to it but the request to close; takes back what it has not claimed.
  void SendClose(std::uint32_t connection, bool abort) noexcept;
  Fault Receive(std::uint32_t connection, ByteSpan bytes) noexcept;
  // Where the next bytes of a connection are to be received while a long frame is on its way, see FrameDecoder::Wanted;
  // then to be followed by ReceiveWanted. Empty at all other times.
  std::span<std::uint8_t> Wanted(std::uint32_t connection) noexcept;
  Fault ReceiveWanted(std::uint32_t connection, std::size_t count) noexcept;
  // The connection has ended: what it had claimed is lost, the rest goes back to the front. False when stale.
  bool Disconnect(std::uint32_t connection) noexcept;
  Connection* Find(std::uint32_t connection) const noexcept { return Get(connection); }
  // Where a driver may keep what it has for a connection: small numbers, used again.
  static constexpr std::uint32_t IndexOf(std::uint32_t connection) noexcept {
    return connection & ((1u << kIndexBits) - 1);
  }

  // ---- the turn ---------------------------------------------------------------
  // Sends waiting tasks to workers with credit, and acknowledges messages.
  void Dispatch() noexcept;
  // Calls write(connection) for each connection with new bytes in its output, which is where they are taken from.
  template <class Write>
  void Flush(Write&& write) {
    flushed_.swap(dirty_);
    for (const std::uint32_t handle : flushed_) {
      Connection* connection = Get(handle);
      if (connection == nullptr) continue;
      connection->dirty = false;
      write(*connection);
    }
    flushed_.clear();
  }
  // Remembers how far each worker has come. True when one has tasks behind the one that it runs: RecallStuck is to
  // follow a while later. Dispatch does both by the clock.
  bool WatchStuck() noexcept;
  // Takes unclaimed tasks back from workers that have started nothing since WatchStuck.
  void RecallStuck() noexcept;
  std::uint32_t Patience(const Connection& connection) noexcept;
  // Takes unclaimed tasks back from a worker whose process was stopped, and sends it nothing until it goes on.
  void Suspend(std::uint32_t connection, bool suspended) noexcept;

  // ---- closing ----------------------------------------------------------------
  // From now on every task that waits, returns or arrives is cancelled.
  void Drop() noexcept;

  // ---- the inbox and the records ----------------------------------------------
  void Post(ByteSpan message) noexcept;
  // Acknowledge every message from now on, whatever the reader does.
  void AcknowledgeAll() noexcept { inbox_mark_ = kNoMark; }
  void DiscardMessages() noexcept;
  // Records for tasks without a ticket too.
  void set_report_all(bool report_all) noexcept { report_all_ = report_all; }
  RecordQueue& completions() noexcept { return completions_; }
  RecordQueue& inbox() noexcept { return inbox_; }

  const Counts& counts() const noexcept { return counts_; }
  // Tasks that wait for a worker that is there, or for any.
  std::uint64_t backlog() const noexcept { return counts_.waiting - placed_.stranded(); }
  const Tally& tally(std::uint32_t level) const noexcept { return tallies_[level]; }
  // Of the tasks that wait, as far as the queue knows; levels() when none does.
  std::uint32_t most_urgent_waiting() noexcept { return queue_.FirstLevel(); }
  std::uint64_t waiting_at(std::uint32_t level) const noexcept { return tallies_[level].waiting; }
  // How long attempts ran, and how long tasks waited to be sent; by the worker's word.
  Histogram& runs() noexcept { return runs_; }
  Histogram& waits() noexcept { return waits_; }
  // Cancelled tasks whose entries are still in the queue.
  std::uint64_t tombstones() const noexcept { return tombstones_; }
  std::uint32_t levels() const noexcept { return queue_.levels(); }

 private:
  static constexpr std::size_t kNoMark = ~std::size_t{0};
  // A handle is the index of its entry and the entry's generation; 0 is never one.
  static constexpr std::uint32_t kIndexBits = 12;

  struct Entry {
    std::unique_ptr<Connection> connection;
    std::uint32_t generation = 1;
  };

  std::uint32_t NewConnection(std::uint32_t worker, SharedPage page) noexcept;
  Connection* Get(std::uint32_t handle) const noexcept;
  void MarkDirty(Connection& connection) noexcept;

  template <class Decode>
  Fault Decoded(Connection& connection, Decode&& decode) noexcept;
  Fault OnFrame(Connection& connection, std::uint8_t type, ByteSpan body) noexcept;
  Fault OnHello(Connection& connection, ByteSpan body) noexcept;
  Fault OnRemoteFrame(Connection& connection, std::uint8_t type, ByteSpan body) noexcept;
  RecordKind KindFrom(const Connection& connection, RecordKind kind) const noexcept {
    return static_cast<RecordKind>(static_cast<std::uint8_t>(kind) | (connection.remote ? kForeignPayload : 0));
  }
  Fault OnDone(Connection& connection, ByteSpan body) noexcept;
  Fault OnSchedule(Connection& connection, std::uint32_t level, ByteSpan body) noexcept;
  Fault OnProgress(Connection& connection, ByteSpan body) noexcept;
  Fault OnNumber(Connection& connection, std::uint8_t type, ByteSpan body) noexcept;
  void OnMessage(Connection& connection, ByteSpan body) noexcept;
  Fault OnForeignFrame(Connection& connection, std::uint8_t type, ByteSpan body) noexcept;
  Fault OnForeignSchedule(Connection& connection, std::uint32_t level, ByteSpan body) noexcept;
  void AnswerForeign(Connection& connection) noexcept;
  // A worker has answered: its task settles, or is held for another attempt.
  void EndAttempt(Connection& connection, std::uint32_t slot, DoneStatus status, ByteSpan payload,
                  std::uint32_t run_us) noexcept;

  // The next task to send, or kNoSlot; frees the tombstones on its way.
  std::uint32_t Pop(bool forked_only = false) noexcept;
  // The same for this worker: it may be one of its place.
  std::uint32_t PopFor(const Connection& connection, bool forked_only) noexcept;
  bool GoesBefore(std::uint32_t common, std::uint32_t placed) noexcept;
  // One that waits for its place is about to be sent, or dropped.
  void TakePlaced(std::uint32_t slot) noexcept;
  // The index of a task, from the most urgent place that has one; it may be stale.
  std::uint32_t PopEntry(bool forked_only) noexcept;
  // Puts it onto a stack, of what returned or is forked, or takes the last one from there.
  void Stack(std::vector<std::uint32_t>& stack, std::vector<std::uint32_t>::iterator at, std::uint32_t slot) noexcept;
  std::uint32_t Unstack(std::vector<std::uint32_t>& stack) noexcept;
  // Sends a task to each worker that has none, the one that was busy last first: it may still be awake.
  void FeedIdle() noexcept;
  // Sends up to `quota` tasks to each worker with credit; false when nothing was sent.
  bool Round(std::uint32_t quota) noexcept;
  // The same to one worker.
  bool Feed(Connection& connection, std::uint32_t quota) noexcept;
  // Whether a remote worker is given this task.
  bool IsForRemote(std::uint32_t slot) noexcept;
  // What was popped and not sent waits again, in front of its level.
  void PutBack(std::uint32_t slot) noexcept;
  // Lets the workers wait actively while some core has nothing else to do.
  void SetSpin() noexcept;
  void TellSpin(const Connection& connection) const noexcept;
  void Send(Connection& connection, std::uint32_t slot) noexcept;
  static bool IsFresh(const TaskSlot& slot) noexcept {
    return slot.IsOwned() && slot.attempt == 1 && !slot.Has(kFlagCounted);
  }
  // Puts it back to the front of its level, from where it was counted.
  void Return(std::uint32_t slot, std::uint64_t Tally::*from) noexcept;
  // True when some worker could begin a task at once.
  bool AnyIdle(const Connection& but) noexcept;
  bool HoldsBack(const Connection& connection) noexcept;
  // Takes the tombstones out of levels that have more of them than tasks.
  void Compact() noexcept;
  void ReturnUnclaimed(Connection& connection, std::uint32_t claimed) noexcept;
  void Recall(Connection& connection) noexcept;
  // ---- forks, see forks.cc
  // The task at `parent` waits for one more of those that it has scheduled. False when nothing could ever run then.
  bool BeginWait(Connection& connection, InFlight& parent) noexcept;
  void EndWait(Connection& connection, InFlight& parent) noexcept;
  // For tasks, at the workers that are there and those that the owner may start.
  std::uint32_t Places() const noexcept;
  void Await(Connection& connection, std::uint32_t number) noexcept;
  // It waits in the queue; from here on in front of it.
  void Promote(std::uint32_t slot) noexcept;
  // Tells the worker that has scheduled a task how it ended, or keeps it until that asks. The task is no child any
  // more.
  void TellParent(std::uint32_t slot, ResultStatus status, std::uint32_t worker, ByteSpan payload) noexcept;
  void SendResult(Connection& connection, std::uint32_t number, ResultStatus status, const ForkOutcome& outcome,
                  ByteSpan payload) noexcept;
  // The task at `parent` has ended: nobody can ask any more, and who has asked gets his answer still.
  void ReleaseForks(Connection& connection, InFlight& parent) noexcept;
  // Those that it waits for.
  void CancelForks(Connection& connection, std::uint32_t sequence) noexcept;
  // Its worker is gone, so nobody will hear how it ended.
  bool IsOrphan(const TaskSlot& slot) noexcept;
  // The lanes that may be in use.
  std::uint32_t Lanes(const Connection& connection) const noexcept {
    return connection.has_waited ? StatusPage::kMaxLanes : options_.concurrency;
  }

  CancelOutcome CancelSlot(std::uint32_t slot) noexcept;
  void SendLetter(std::uint32_t slot, ByteSpan letter, bool foreign) noexcept;
  void AppendNumbered(Connection& connection, std::uint8_t type, std::uint32_t number, bool foreign,
                      ByteSpan payload) noexcept;
  // Drops a task that waits; its entry stays in the queue as a tombstone.
  bool DropQueued(std::uint32_t slot, RecordKind kind) noexcept;
  // Tells the worker of a task to stop it.
  void AskToStop(std::uint32_t slot, StopReason reason) noexcept;
  // Who waits for it is told in a moment.
  void SetMoment(std::uint32_t slot) noexcept;
  bool MayRetry(const TaskSlot& slot, std::uint8_t cause) const noexcept;
  TaskSlot* HeldAt(std::uint32_t slot) noexcept;
  // Its attempt is over, and the owner is asked how it goes on.
  void Hold(std::uint32_t slot, std::uint32_t worker) noexcept;

  // Does what is due.
  void RingAlarms() noexcept;
  void Ring(const Alarm& alarm) noexcept;
  void RingTimeout(std::uint32_t slot) noexcept;
  void RingMoment(std::uint32_t slot) noexcept;
  void RingPatience(std::uint32_t slot) noexcept;
  void ReportUnresponsive(const Connection& connection) noexcept;
  void SetAlarm(std::uint32_t slot, AlarmKind kind, std::uint64_t due_us) noexcept;
  bool IsValid(const Alarm& alarm) noexcept;

  Record RecordOf(std::uint32_t slot, RecordKind kind, std::uint32_t worker) noexcept;
  // Counts, reports and frees a task that is out of every queue; `worker` is the last that ran it, 0 for none. True
  // when it has a place in the inbox.
  bool Settle(std::uint32_t slot, RecordKind kind, ByteSpan payload, std::uint32_t worker,
              std::uint32_t run_us) noexcept;
  void Count(const TaskSlot& slot, std::uint64_t Tally::*where, int step) noexcept;
  void Move(const TaskSlot& slot, std::uint64_t Tally::*from, std::uint64_t Tally::*to) noexcept;
  void Acknowledge() noexcept;
  void AnswerSchedules() noexcept;

  PriorityQueue queue_;
  Slab slab_;
  // Stacks by level, read before the queue: what others wait for, and what came back from workers, in order of
  // submission from the back.
  std::vector<std::vector<std::uint32_t>> forked_;
  std::vector<std::vector<std::uint32_t>> returned_;
  std::vector<Tally> tallies_;
  std::vector<std::uint64_t> tombstones_at_;
  std::vector<std::uint32_t> slot_of_ticket_;
  Forks forks_;
  Placed placed_;
  // By slot: what was sent to tasks that have not begun, or may be run again.
  struct Letter {
    Bytes bytes;
    bool foreign;
  };
  std::unordered_map<std::uint32_t, std::vector<Letter>> letters_;
  std::vector<Entry> connections_;
  std::vector<std::uint32_t> dirty_;
  std::vector<std::uint32_t> flushed_;  // memory that is used again
  std::vector<Connection*> idle_;       // likewise
  std::size_t next_turn_ = 0;           // where the round over the workers begins

  Alarms alarms_;
  RecordQueue completions_;
  RecordQueue inbox_;
  Counts counts_;
  Histogram runs_;
  Histogram waits_;
  const DispatcherOptions options_;
  Submission foreign_policy_;
  std::uint64_t now_us_ = 0;
  Connection* receiving_ = nullptr;  // whose frame is being looked at
  bool expects_local_ = false;
  std::uint64_t stuck_due_us_ = 0;  // when RecallStuck is due; 0 while nothing is watched
  std::uint64_t heard_ = 0;         // chunks received
  std::size_t inbox_mark_;
  std::size_t stacked_ = 0;  // on all stacks
  std::uint64_t tombstones_ = 0;
  std::uint32_t waiting_tasks_ = 0;  // in flight, that wait for others
  std::uint64_t order_ = 0;          // of submission; slots have its lower half
  bool report_all_ = false;
  bool dropping_ = false;
  bool discarding_ = false;
  bool unacknowledged_ = false;
  bool schedules_wait_ = false;
  bool spinning_ = false;
};

}  // namespace bosun
