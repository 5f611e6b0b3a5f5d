// The dispatcher: which task goes to which worker, and what becomes of it. A state machine without I/O: a driver tells
// it "these bytes came from connection c" and is told "write these bytes to connection d".
//
// Who: one thread at a time, the one that holds the turn; only the queue and the slab take submissions from others.
// Cost: about one queue operation, one copy of the payload and one 25-byte header per task and direction.
// Not for: policies, timers, signals and reports; those are the owner's.
//
// A task is in exactly one place, and the counts say so at any time between two calls:
//
//     accepted = waiting + sent + lost + done + failed + cancelled
//
//     Submit, schedule frame -> waiting -> sent -> done | failed | cancelled
//                                 ^          |-> lost -> (SettleLost) failed | cancelled
//                                 '-- unclaimed when its worker was lost or it was recalled: the front of its level
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "dispatch/connection.h"
#include "dispatch/records.h"
#include "dispatch/slab.h"
#include "queue/priority_queue.h"

namespace bosun {

struct DispatcherOptions {
  std::uint32_t levels = 2;
  std::uint64_t max_frame_bytes = kDefaultMaxFrameBytes;
  std::uint32_t prefetch = 0;         // tasks sent ahead to a worker, the running one included; 0 sizes it by run time
  std::uint32_t inbox_mark = 10'000;  // messages above which acknowledgements wait for the reader
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

enum class LostOutcome : std::uint8_t { kUnknown, kFailed, kCancelled };

struct Submission {
  std::uint64_t id = 0;
  std::uint32_t ticket = kNoTicket;
  std::uint32_t level = 0;
  std::uint8_t flags = 0;
};

struct Counts {
  std::uint64_t accepted = 0, waiting = 0, sent = 0, lost = 0, done = 0, failed = 0, cancelled = 0;
  std::uint64_t messages = 0;   // that arrived
  std::uint64_t discarded = 0;  // of them, never to be read
  std::uint64_t recalled = 0;   // tasks taken back from workers, or left unclaimed by dead ones

  std::uint64_t Left() const noexcept { return waiting + sent + lost; }
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
  // Ends a task that was reported as lost. One that was asked to stop, and any when `dropped`, is cancelled, and a
  // record says so; of a failure nothing is recorded but its place in the inbox.
  LostOutcome SettleLost(std::uint32_t slot, bool dropped) noexcept;

  // ---- connections ------------------------------------------------------------
  // The handle of a new connection; it carries a generation, so that a stale one is never another.
  std::uint32_t Connect(std::uint32_t worker, SharedPage page) noexcept;
  void SendHello(std::uint32_t connection, ByteSpan configuration) noexcept;
  // Sends nothing more to it but the request to close; takes back what it has not claimed.
  void SendClose(std::uint32_t connection, bool abort) noexcept;
  Fault Receive(std::uint32_t connection, ByteSpan bytes) noexcept;
  // The connection has ended: what it had claimed is lost, the rest goes back to the front. False when stale.
  bool Disconnect(std::uint32_t connection) noexcept;
  const Connection* Find(std::uint32_t connection) const noexcept;

  // ---- the turn ---------------------------------------------------------------
  // Sends waiting tasks to workers with credit, and acknowledges messages.
  void Dispatch() noexcept;
  // Calls write(connection, Bytes&&) for each connection with bytes to write.
  template <class Write>
  void Flush(Write&& write) {
    for (const std::uint32_t handle : std::exchange(dirty_, {})) {
      Connection* connection = Get(handle);
      if (connection == nullptr) continue;
      connection->dirty = false;
      write(handle, std::exchange(connection->output, Bytes()));
    }
  }
  // Remembers how far each worker has come. True when one has tasks behind the one that it runs: call RecallStuck
  // later.
  bool WatchStuck() noexcept;
  // Takes unclaimed tasks back from workers that have started nothing since WatchStuck.
  void RecallStuck() noexcept;

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
  std::uint64_t waiting_at(std::uint32_t level) const noexcept { return waiting_at_[level]; }
  // Cancelled tasks whose entries are still in the queue.
  std::uint64_t tombstones() const noexcept { return tombstones_; }
  std::uint32_t levels() const noexcept { return queue_.levels(); }

 private:
  static constexpr std::size_t kNoMark = ~std::size_t{0};
  static constexpr std::uint32_t kIndexBits = 12;

  struct Entry {
    std::unique_ptr<Connection> connection;
    std::uint32_t generation = 1;
  };

  Connection* Get(std::uint32_t handle) const noexcept;
  void MarkDirty(Connection& connection) noexcept;

  Fault OnFrame(Connection& connection, std::uint8_t type, ByteSpan body) noexcept;
  Fault OnHello(Connection& connection, ByteSpan body) noexcept;
  Fault OnDone(Connection& connection, ByteSpan body) noexcept;
  Fault OnSchedule(Connection& connection, std::uint32_t level, ByteSpan body) noexcept;
  void OnMessage(Connection& connection, ByteSpan body) noexcept;

  // The next task to send, or kNoSlot; frees the tombstones on its way.
  std::uint32_t Pop() noexcept;
  // Sends up to `quota` tasks to each worker with credit; false when nothing was sent.
  bool Round(std::uint32_t quota, bool idle_only) noexcept;
  void Send(Connection& connection, std::uint32_t slot) noexcept;
  void Return(std::uint32_t slot) noexcept;
  // True when some worker could begin a task at once.
  bool AnyIdle(const Connection& but) const noexcept;
  bool HoldsBack(const Connection& connection) const noexcept;
  // Takes the tombstones out of levels that have more of them than tasks.
  void Compact() noexcept;
  void ReturnUnclaimed(Connection& connection, std::uint32_t claimed) noexcept;
  void Recall(Connection& connection) noexcept;
  // Counts, reports and frees a task that is out of every queue.
  void Settle(std::uint32_t slot, RecordKind kind, ByteSpan payload, const Connection* connection,
              std::uint32_t run_us) noexcept;
  void CountWaiting(const TaskSlot& slot, int step) noexcept;
  void Acknowledge() noexcept;

  PriorityQueue queue_;
  Slab slab_;
  // What came back from workers, by level, in order of submission from the back. Read before the queue.
  std::vector<std::vector<std::uint32_t>> returned_;
  std::vector<std::uint64_t> waiting_at_;
  std::vector<std::uint64_t> tombstones_at_;
  std::vector<std::uint32_t> slot_of_ticket_;
  std::vector<Entry> connections_;
  std::vector<std::uint32_t> dirty_;
  std::size_t next_turn_ = 0;  // where the round over the workers begins

  RecordQueue completions_;
  RecordQueue inbox_;
  Counts counts_;
  const std::uint64_t max_frame_bytes_;
  const std::uint32_t prefetch_;
  std::size_t inbox_mark_;
  std::size_t returned_count_ = 0;
  std::uint64_t tombstones_ = 0;
  std::uint32_t order_ = 0;
  bool report_all_ = false;
  bool dropping_ = false;
  bool discarding_ = false;
  bool unacknowledged_ = false;
};

}  // namespace bosun
