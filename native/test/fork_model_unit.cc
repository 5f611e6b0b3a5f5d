// Random trees of tasks that wait for tasks, on workers that die, hang and are replaced: whatever happens, every task
// ends, and who waits gets one answer. A failure prints its seed: BOSUN_SEED runs that one alone.

#include <array>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>

#include "dispatch_harness.h"

namespace {

using namespace bosun;
using namespace bosun::test;

// A task that has begun.
struct Node {
  Task task;
  std::uint32_t lane;
  std::set<std::uint32_t> waits;  // numbers of those whose results it awaits
  std::set<std::uint32_t> later;  // that it may ask for
  bool is_stopped = false;        // and so waits for nothing any more
};

// Begins tasks by the rules of lib/runtime/task-loop.ts.
struct ForkWorker {
  ForkWorker(Dispatcher& d, std::uint32_t number) : end(d, number) {}
  FakeWorker end;
  std::deque<Task> buffered;
  std::map<std::uint32_t, Node> begun;  // by sequence
  std::map<std::uint32_t, std::uint32_t> parent_of;
  std::set<std::uint32_t> answered;
  std::uint32_t numbers = 0;
  bool refused = false;

  std::uint32_t Suspended() const {
    std::uint32_t count = 0;
    for (const auto& [sequence, node] : begun) count += node.waits.empty() ? 0 : 1;
    return count;
  }
  std::uint32_t FreeLane() const {
    std::set<std::uint32_t> used;
    for (const auto& [sequence, node] : begun) used.insert(node.lane);
    std::uint32_t lane = 0;
    while (used.contains(lane)) ++lane;
    return lane;
  }
};

class Model {
 public:
  explicit Model(std::uint64_t seed) : random_(seed), lanes_(1 + Pick(3)), d_(Options()) { d_.set_now(now_us_); }

  void Run() {
    for (auto& worker : workers_) worker = Hire();
    for (std::uint32_t i = 0; i < kRoots; ++i) Submit(d_, Pick(2), i, std::to_string(1 + Pick(5)));
    for (int step = 0; step < 300; ++step) {
      Step();
      CheckSums(d_);
    }
    // From here on workers do nothing but work.
    for (int round = 0; d_.counts().Left() > 0; ++round) {
      CHECK(round < 10'000);
      now_us_ += 1000;
      d_.set_now(now_us_);
      Turn();
      for (auto& worker : workers_) {
        while (Begin(*worker)) {
        }
        Rest(*worker);
        while (Finish(*worker)) {
        }
      }
      CheckSums(d_);
    }
    CHECK_EQ(d_.counts().accepted, kRoots + made_);
    for (auto& worker : workers_) CHECK(worker->begun.empty());
  }

 private:
  static constexpr std::uint32_t kRoots = 6;
  static constexpr std::uint32_t kMostTasks = 400;

  DispatcherOptions Options() { return {.prefetch = Pick(4), .concurrency = lanes_, .grace_us = 3'600'000'000}; }
  std::uint32_t Pick(std::size_t below) { return static_cast<std::uint32_t>(random_() % below); }

  std::unique_ptr<ForkWorker> Hire() { return std::make_unique<ForkWorker>(d_, next_number_++); }

  void Step() {
    auto& worker = workers_[Pick(workers_.size())];
    switch (Pick(16)) {
      case 0:
        now_us_ += Pick(3000);
        d_.set_now(now_us_);
        break;
      case 1:
        if (Pick(4) == 0) d_.Cancel(Pick(kRoots));
        break;
      case 2:
        if (Pick(4) == 0) Kill(worker);
        break;
      case 3:
        d_.Suspend(worker->end.connection(), true);
        Turn();
        d_.Suspend(worker->end.connection(), false);
        break;
      case 4:
      case 5:
      case 6:
        Turn();
        break;
      case 7:
      case 8:
        Ask(*worker);
        break;
      case 9:
      case 10:
      case 11:
      case 12:
        if (!Begin(*worker)) Rest(*worker);
        break;
      default:
        Finish(*worker);
        break;
    }
  }

  void Turn() {
    d_.Dispatch();
    d_.Flush([&](Connection& written) {
      const Bytes bytes = written.output.Take();
      for (auto& worker : workers_) {
        if (worker->end.connection() == written.handle) Deliver(*worker, bytes.span());
      }
    });
    ReadAll(d_.completions());
    ReadAll(d_.inbox());
  }

  void Deliver(ForkWorker& worker, ByteSpan bytes) {
    worker.end.OnBytes(bytes);
    for (const Task& task : worker.end.Tasks()) worker.buffered.push_back(task);
    for (const auto& [type, body] : worker.end.Others()) {
      const auto* at = reinterpret_cast<const std::uint8_t*>(body.data());
      const std::uint32_t number = Load<std::uint32_t>(at);
      if (type == kCancel) {
        const auto node = worker.begun.find(number);
        if (node == worker.begun.end()) continue;
        node->second.is_stopped = true;
        node->second.waits.clear();
      } else if (type == kResult) {
        CHECK(worker.answered.insert(number).second);
        const auto status = static_cast<ResultStatus>(at[10]);
        CHECK(status != ResultStatus::kDeadlock);
        const auto node = worker.begun.find(worker.parent_of.at(number));
        if (node != worker.begun.end()) node->second.waits.erase(number);
        CHECK(status != ResultStatus::kUnknown || node == worker.begun.end());
      }
    }
  }

  bool Begin(ForkWorker& worker) {
    const auto begun = static_cast<std::uint32_t>(worker.begun.size());
    if (begun - worker.Suspended() >= lanes_) return false;
    while (!worker.buffered.empty()) {
      const Task task = worker.buffered.front();
      const bool is_forked = (task.flags & kTaskForked) != 0;
      if (begun >= lanes_ && !is_forked && !worker.end.page()->claim.IsPast(task.sequence)) return false;
      worker.buffered.pop_front();
      const std::uint32_t lane = worker.FreeLane();
      if (!worker.end.Claim(task, lane, now_us_)) {
        worker.refused = true;
        continue;
      }
      worker.begun[task.sequence] = {task, lane, {}, {}, false};
      Fork(worker, worker.begun[task.sequence]);
      return true;
    }
    return false;
  }

  void Rest(ForkWorker& worker) {
    if (std::exchange(worker.refused, false)) CHECK(worker.end.Next() == Fault::kNone);
  }

  // The payload says how deep the tree goes below it.
  void Fork(ForkWorker& worker, Node& node) {
    const std::uint32_t depth = static_cast<std::uint32_t>(std::stoul(node.task.payload));
    for (std::uint32_t i = depth == 0 ? 0 : Pick(4); i > 0 && made_ < kMostTasks; --i) {
      const std::uint32_t number = ++worker.numbers;
      const std::string payload = std::to_string(depth - 1);
      const std::uint32_t sequence = node.task.sequence;
      worker.parent_of[number] = sequence;
      ++made_;
      if (Pick(2) == 0) {
        node.waits.insert(number);
        CHECK(worker.end.Fork(Pick(2), number, payload, sequence) == Fault::kNone);
      } else {
        node.later.insert(number);
        CHECK(worker.end.Schedule(Pick(2), number, payload, {}, sequence) == Fault::kNone);
      }
    }
  }

  // Some task asks for the result of one that it has scheduled, or cancels that.
  void Ask(ForkWorker& worker) {
    for (auto& [sequence, node] : worker.begun) {
      if (node.later.empty() || node.is_stopped) continue;
      const std::uint32_t number = *node.later.begin();
      node.later.erase(number);
      if (Pick(5) == 0) CHECK(worker.end.SayNumber(kCancel, number) == Fault::kNone);
      node.waits.insert(number);
      CHECK(worker.end.SayNumber(kAwait, number) == Fault::kNone);
      return;
    }
  }

  bool Finish(ForkWorker& worker) {
    for (const auto& [sequence, node] : worker.begun) {
      if (!node.waits.empty() || Pick(3) == 0) continue;
      const Node ended = node;
      worker.begun.erase(sequence);
      worker.end.End(ended.task, ended.lane);
      const auto status = static_cast<DoneStatus>(Pick(2));
      CHECK(worker.end.Done(ended.task.sequence, status, Pick(2000), "r") == Fault::kNone);
      return true;
    }
    return false;
  }

  void Kill(std::unique_ptr<ForkWorker>& worker) {
    CHECK(d_.Disconnect(worker->end.connection()));
    for (const Read& read : ReadAll(d_.completions())) {
      const RecordKind kind = read.record.kind;
      if (kind != RecordKind::kLost && kind != RecordKind::kLostResult) continue;
      SettleLost(d_, read.record.slot, false, "lost");
    }
    worker = Hire();
  }

  std::mt19937_64 random_;
  const std::uint32_t lanes_;
  Dispatcher d_;
  std::array<std::unique_ptr<ForkWorker>, 2> workers_;
  std::uint64_t now_us_ = 1'000'000;
  std::uint32_t next_number_ = 1;
  std::uint32_t made_ = 0;
};

TEST(EveryTreeIsWorkedOff) {
  const bool alone = std::getenv("BOSUN_SEED") != nullptr;
  const std::uint64_t runs = alone ? 1 : Scaled(1000);
  std::uint64_t first = NewSeed();
  for (std::uint64_t run = 0; run < runs; ++run) {
    seed = first + run;
    Model(seed).Run();
  }
}

}  // namespace

int main() { return bosun::test::RunAll(); }
