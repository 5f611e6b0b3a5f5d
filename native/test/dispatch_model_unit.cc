// Random work for a dispatcher, against a model that knows where every task is. Workers and peers keep to the rules,
// but die, hang, are suspended and answer late. A failure prints its seed: BOSUN_SEED runs that one alone.

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "dispatch_model.h"

namespace {

using namespace bosun;
using namespace bosun::test;

class Model {
 public:
  explicit Model(std::uint64_t seed) : random_(seed), lanes_(1 + Pick(3)), d_(Options()) {
    d_.set_now(now_us_);
    d_.set_report_all(true);
  }

  void Run(int steps) {
    for (int step = 0; step < steps; ++step) {
      Step();
      Check();
    }
    for (auto& worker : workers_) Leave(worker);
    for (auto& peer : peers_) Leave(peer);
    d_.Drop();
    dropped_ = true;
    while (!tasks_.empty()) {
      Turn();
      CHECK(!tasks_.empty() || d_.counts().Left() == 0);
      AnswerHeld(true);
      Check();
    }
    CHECK_EQ(d_.counts().Left(), 0u);
  }

 private:
  DispatcherOptions Options() {
    return {.levels = 3,
            .prefetch = Pick(4),
            .inbox_mark = 2,
            .concurrency = lanes_,
            .grace_us = Pick(2) == 0 ? 3000u : 300'000u,
            .max_queue = Pick(2) == 0 ? 5 : ~std::uint64_t{0}};
  }
  std::uint32_t Pick(std::size_t below) { return static_cast<std::uint32_t>(random_() % below); }

  void Step() {
    switch (Pick(16)) {
      case 0:
      case 1:
      case 2:
        Submit();
        break;
      case 3:
        if (!tasks_.empty()) Cancel();
        break;
      case 4:
      case 5:
        Turn();
        break;
      case 6:
        now_us_ += Pick(4) == 0 ? Pick(200'000) : Pick(3000);
        d_.set_now(now_us_);
        break;
      case 7:
        AnswerHeld(false);
        break;
      case 8:
        if (Pick(4) == 0) d_.WatchStuck(), d_.RecallStuck();
        break;
      case 9:
        Come();
        break;
      case 10:
        Trouble();
        break;
      case 11:
        Peer(peers_[Pick(peers_.size())]);
        break;
      default:
        Worker(workers_[Pick(workers_.size())]);
        break;
    }
  }

  // ---- the owner ------------------------------------------------------------------------

  Known& Add(std::uint64_t id, std::uint32_t level, const Submission& submission = {}) {
    Known& known = tasks_[id];
    known.level = level;
    known.order = order_++;
    known.ticket = submission.ticket;
    known.timeout_ms = submission.timeout_ms;
    known.place = submission.place;
    return known;
  }

  Submission RandomPolicy() {
    Submission submission;
    submission.max_retries = Pick(3) == 0 ? 2 : 0;
    submission.max_crashes = static_cast<std::uint8_t>(Pick(3));
    submission.timeout_ms = Pick(3) == 0 ? 1 + Pick(20) : 0;
    submission.deadline_ms = Pick(4) == 0 ? 1 + Pick(20) : 0;
    submission.flags = Pick(256) & kOwnersFlags;
    return submission;
  }

  void Submit() {
    if (tasks_.size() > 60) return;
    Submission submission = RandomPolicy();
    submission.id = next_id_++;
    submission.ticket = free_tickets_.empty() ? next_ticket_++ : free_tickets_.back();
    if (!free_tickets_.empty()) free_tickets_.pop_back();
    submission.level = Pick(3);
    submission.place = Pick(3) == 0 ? 1 + Pick(2) : 0;
    Add(submission.id, submission.level, submission);
    CHECK(d_.Submit(submission, Span(std::to_string(submission.id))));
  }

  void Cancel() {
    auto it = tasks_.begin();
    std::advance(it, Pick(tasks_.size()));
    if (it->second.ticket == kNoTicket) return;
    Known& known = it->second;
    known.told_to_stop = true;
    // It is certain that it ends now unless it has begun, or its failure is the owner's to judge.
    const bool open = known.where == Where::kHeld || (known.where == Where::kSent && known.began);
    CHECK_EQ(d_.Cancel(known.ticket) == CancelOutcome::kDropped, !open);
  }

  void AnswerHeld(bool settle) {
    for (auto& [id, known] : std::map<std::uint64_t, Known>(tasks_)) {
      if (known.where != Where::kHeld || (!settle && Pick(2) == 0)) continue;
      const LostOutcome outcome = settle || known.lost ? SettleLost(d_, known.slot, settle) : LostOutcome::kRetry;
      CHECK(outcome != LostOutcome::kUnknown);
      if (outcome == LostOutcome::kFailed || outcome == LostOutcome::kPoison) End(id);
      if (outcome != LostOutcome::kRetry) continue;
      const std::uint64_t delay = Pick(2) == 0 ? 0 : Pick(10'000);
      CHECK(d_.Retry(known.slot, delay));
      // One that was cancelled meanwhile has ended.
      ReadRecords();
      if (!tasks_.contains(id)) continue;
      Known& task = tasks_[id];
      task.where = delay == 0 ? Where::kWaiting : Where::kDelayed;
      task.due_us = now_us_ + delay;
      task.began = false;
      ++task.attempt;
    }
  }

  void End(std::uint64_t id) {
    const auto it = tasks_.find(id);
    CHECK(it != tasks_.end());  // a second end
    if (it->second.ticket != kNoTicket) free_tickets_.push_back(it->second.ticket);
    tasks_.erase(it);
  }

  // ---- workers and peers --------------------------------------------------------------------

  void Come() {
    auto& worker = workers_[Pick(workers_.size())];
    if (worker == nullptr) {
      worker = std::make_unique<WorkerModel>(d_, next_number_++, lanes_, Pick(3));
      return;
    }
    auto& peer = peers_[Pick(peers_.size())];
    if (peer == nullptr) peer = std::make_unique<PeerModel>(d_, next_number_++);
  }

  template <class End>
  void Leave(std::unique_ptr<End>& end) {
    if (end == nullptr) return;
    CHECK(d_.Disconnect(end->end.connection()));
    end = nullptr;
  }

  void Trouble() {
    auto& worker = workers_[Pick(workers_.size())];
    if (worker == nullptr) return;
    switch (Pick(4)) {
      case 0:
        Leave(worker);
        break;
      case 1:
        d_.SendClose(worker->end.connection(), Pick(2) == 0);
        break;
      default:
        d_.Suspend(worker->end.connection(), Pick(2) == 0);
        break;
    }
  }

  void Worker(std::unique_ptr<WorkerModel>& worker) {
    if (worker == nullptr) return;
    const std::uint32_t lane = Pick(lanes_);
    std::unique_ptr<Running>& running = worker->lanes[lane];
    if (running == nullptr) {
      if (worker->buffered.empty()) return;
      const Task task = worker->buffered.front();
      worker->buffered.erase(worker->buffered.begin());
      if (!worker->end.Claim(task, lane, now_us_)) {
        CHECK(worker->end.Next() == Fault::kNone);
        return;
      }
      // No task is begun twice in one attempt, nor after its end.
      CHECK(tasks_.contains(task.id));
      CHECK_EQ(tasks_[task.id].attempt, task.attempt);
      CHECK(begun_.insert({task.id, task.attempt}).second);
      tasks_[task.id].began = true;
      running = std::make_unique<Running>(Running{task});
    } else if (!running->ended && Pick(4) == 0) {
      if (Pick(2) == 0) {
        CHECK(worker->end.Message("m") == Fault::kNone);
      } else if (tasks_.size() < 60) {
        const std::uint32_t level = Pick(3);
        const std::uint64_t id = (std::uint64_t{worker->number} << 32) + ++worker->scheduled;
        const Submission policy = RandomPolicy();
        Add(id, level, {.timeout_ms = policy.timeout_ms});
        CHECK(worker->end.Schedule(level, worker->scheduled, std::to_string(id), policy) == Fault::kNone);
      }
    } else if (!running->ended) {
      worker->end.End(running->task, lane);
      running->ended = true;
    } else {
      const auto status = static_cast<DoneStatus>(Pick(3));
      if (status == DoneStatus::kCancelled) tasks_[running->task.id].told_to_stop = true;
      const std::uint32_t run_us = Pick(3) == 0 ? 5000 : 50;
      CHECK(worker->end.Done(running->task.sequence, status, run_us, "r") == Fault::kNone);
      running = nullptr;
    }
  }

  void Peer(std::unique_ptr<PeerModel>& peer) {
    if (peer == nullptr) return;
    if (peer->waits) return;
    switch (Pick(5)) {
      case 0:
        Leave(peer);
        return;
      case 1:
        CHECK(peer->end.Message("m") == Fault::kNone);
        peer->waits = true;
        return;
      case 2: {
        if (tasks_.size() > 60) return;
        const std::uint64_t id = (std::uint64_t{peer->number} << 32) + ++peer->scheduled;
        Add(id, 1);
        CHECK(peer->end.Schedule(1, std::to_string(id)) == Fault::kNone);
        peer->waits = true;
        return;
      }
      default:
        break;
    }
    CHECK((peer->task == 0 ? peer->end.Next() : peer->end.Done()) == Fault::kNone);
    peer->task = 0;
    ReadRecords();
    std::uint64_t first = 0;
    for (const auto& [id, known] : tasks_) {
      if (known.where == Where::kWaiting && known.place == 0 && (first == 0 || Before(known, tasks_[first])))
        first = id;
    }
    Deliver();
    // It got the most urgent and oldest of all that wait, or was told that none does.
    CHECK_EQ(peer->task, first);
  }

  // ---- the turn -----------------------------------------------------------------------------

  static bool Before(const Known& a, const Known& b) {
    return a.level != b.level ? a.level < b.level : a.order < b.order;
  }

  void Turn() {
    sent_.clear();
    d_.Dispatch();
    CHECK(d_.next_due() == 0 || d_.next_due() > now_us_);
    for (auto& [id, known] : tasks_) {
      if (known.where == Where::kDelayed && known.due_us <= now_us_) known.where = Where::kWaiting;
    }
    Deliver();
    ReadRecords();
    SeeWhatReturned();
    // Nothing that waits, and may run there, goes before anything that was sent.
    for (const auto& [id, worker] : sent_) {
      if (!tasks_.contains(id) || tasks_[id].where != Where::kSent) continue;
      for (const auto& [other, known] : tasks_) {
        if (known.where == Where::kWaiting && worker->Takes(known.place)) CHECK(Before(tasks_[id], known));
      }
    }
    if (Pick(3) == 0) ReadAll(d_.inbox());
  }

  void Sent(std::uint64_t id) {
    CHECK(tasks_.contains(id));
    tasks_[id].where = Where::kSent;
  }

  void Deliver() {
    d_.Flush([&](Connection& written) {
      const std::uint32_t connection = written.handle;
      const Bytes bytes = written.output.Take();
      for (auto& worker : workers_) {
        if (worker == nullptr || worker->end.connection() != connection) continue;
        worker->end.OnBytes(bytes.span());
        for (const Task& task : worker->end.Tasks()) {
          worker->id_of[task.sequence] = task.id;
          worker->buffered.push_back(task);
          Sent(task.id);
          CHECK(worker->Takes(tasks_[task.id].place));
          sent_.emplace_back(task.id, worker.get());
        }
      }
      for (auto& peer : peers_) {
        if (peer == nullptr || peer->end.connection() != connection) continue;
        peer->end.OnBytes(bytes.span());
        for (const std::string& answer : peer->end.Answers()) {
          peer->task = answer.empty() ? 0 : std::stoull(answer);
          if (peer->task == 0) continue;
          Sent(peer->task);
          CHECK_EQ(tasks_[peer->task].place, 0u);
          CHECK(begun_.insert({peer->task, tasks_[peer->task].attempt}).second);
          tasks_[peer->task].began = true;
        }
        if (!peer->end.Others().empty()) peer->waits = false;
      }
    });
  }

  // What is no longer in flight, though it has not ended, waits again.
  void SeeWhatReturned() {
    std::set<std::uint64_t> in_flight;
    for (auto& worker : workers_) {
      if (worker == nullptr) continue;
      for (const InFlight& flight : d_.Find(worker->end.connection())->in_flight) {
        in_flight.insert(worker->id_of.at(flight.sequence));
      }
    }
    for (auto& peer : peers_) {
      if (peer != nullptr && !d_.Find(peer->end.connection())->in_flight.empty()) in_flight.insert(peer->task);
    }
    for (auto& [id, known] : tasks_) {
      if (known.where == Where::kSent && !in_flight.contains(id)) {
        CHECK(!known.began);
        known.where = Where::kWaiting;
      }
    }
  }

  void ReadRecords() {
    for (const Read& read : ReadAll(d_.completions())) {
      const Record& record = read.record;
      const RecordKind kind = record.kind;
      if (kind == RecordKind::kReady || kind == RecordKind::kUnresponsive) continue;
      CHECK(tasks_.contains(record.id));
      Known& known = tasks_[record.id];
      CHECK_EQ(record.ticket, known.ticket);
      CHECK_EQ(record.attempt, known.attempt);
      CHECK_EQ(record.level & 0x7F, known.level);
      switch (kind) {
        case RecordKind::kLost:
        case RecordKind::kLostResult:
        case RecordKind::kRetry:
          CHECK(known.began);
          CHECK(known.where == Where::kSent);
          known.where = Where::kHeld;
          known.slot = record.slot;
          known.lost = kind != RecordKind::kRetry;
          continue;
        case RecordKind::kStopping:
          CHECK(known.began);
          CHECK(++known.stopping_records <= 2);
          continue;
        case RecordKind::kCancelled:
          CHECK(known.told_to_stop || dropped_);
          break;
        case RecordKind::kDeadline:
          CHECK(!known.began);
          break;
        case RecordKind::kTimeout:
          CHECK(known.timeout_ms > 0 && known.began);
          break;
        default:
          CHECK(kind == RecordKind::kValue || kind == RecordKind::kError);
          CHECK(known.began && known.stopping_records == 0);
          break;
      }
      End(record.id);
    }
  }

  void Check() {
    CheckSums(d_);
    ReadRecords();
    SeeWhatReturned();
    std::array<std::uint64_t, 4> counts{};
    for (const auto& [id, known] : tasks_) ++counts[static_cast<std::size_t>(known.where)];
    CHECK_EQ(d_.counts().waiting, counts[static_cast<std::size_t>(Where::kWaiting)]);
    CHECK_EQ(d_.counts().sent, counts[static_cast<std::size_t>(Where::kSent)]);
    CHECK_EQ(d_.counts().held,
             counts[static_cast<std::size_t>(Where::kHeld)] + counts[static_cast<std::size_t>(Where::kDelayed)]);
    CheckPlaces();
  }

  void CheckPlaces() {
    std::array<bool, 3> open{true};
    for (const auto& worker : workers_) {
      if (worker != nullptr && !d_.Find(worker->end.connection())->closing) open[worker->place] = true;
    }
    std::uint64_t backlog = 0;
    std::array<std::vector<std::uint32_t>, 3> tickets;
    for (const auto& [id, known] : tasks_) {
      if (known.where == Where::kWaiting && open[known.place]) ++backlog;
      if (known.place != 0) tickets[known.place].push_back(known.ticket);
    }
    CHECK_EQ(d_.backlog(), backlog);
    for (const std::uint32_t place : {1u, 2u}) {
      std::vector<std::uint32_t> found = d_.TicketsAt(place);
      std::sort(found.begin(), found.end());
      std::sort(tickets[place].begin(), tickets[place].end());
      CHECK(found == tickets[place]);
    }
  }

  std::mt19937_64 random_;
  const std::uint32_t lanes_;
  Dispatcher d_;
  std::uint64_t now_us_ = 1'000'000;
  std::map<std::uint64_t, Known> tasks_;  // that have not ended
  std::set<std::pair<std::uint64_t, std::uint16_t>> begun_;
  std::vector<std::pair<std::uint64_t, const WorkerModel*>> sent_;  // in this turn
  std::array<std::unique_ptr<WorkerModel>, 4> workers_;
  std::array<std::unique_ptr<PeerModel>, 2> peers_;
  std::vector<std::uint32_t> free_tickets_;
  std::uint32_t next_ticket_ = 0;
  std::uint32_t next_number_ = 1;
  std::uint64_t next_id_ = 1;
  std::uint64_t order_ = 0;
  bool dropped_ = false;
};

TEST(RandomRunsAgreeWithTheModel) {
  const bool alone = std::getenv("BOSUN_SEED") != nullptr;
  const std::uint64_t runs = alone ? 1 : Scaled(1000);
  std::uint64_t first = NewSeed();
  for (std::uint64_t run = 0; run < runs; ++run) {
    seed = first + run;
    Model(seed).Run(800);
  }
}

}  // namespace

int main() { return bosun::test::RunAll(); }
