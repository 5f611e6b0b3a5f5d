// Tasks that only the workers of one place may run.

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "attempts_harness.h"

namespace {

using namespace bosun;
using namespace bosun::test;

Submission At(std::uint32_t place, Submission submission = {}) {
  submission.place = place;
  return submission;
}

struct Hand : FakeWorker {
  Hand(Dispatcher& d, std::uint32_t worker, std::uint32_t place, bool greet = true)
      : FakeWorker(d, worker, greet, true, place) {}
};

// What it is sent, one after the other.
std::string Drain(Dispatcher& d, FakeWorker& w) {
  std::string order;
  for (;;) {
    Turn(d, {&w});
    const std::vector<Task> tasks = w.Tasks();
    if (tasks.empty()) return order;
    order += Payloads(tasks);
    for (const Task& task : tasks) {
      CHECK(w.Claim(task));
      CHECK(Finish(w, task) == Fault::kNone);
    }
    CheckSums(d);
  }
}

TEST(ATaskGoesToAWorkerOfItsPlaceAlone) {
  Dispatcher d(Options());
  FakeWorker any(d, 1);
  Hand one(d, 2, 1), two(d, 3, 2);
  Submit(d, 1, 0, "for two", 0, At(2));
  Turn(d, {&any, &one, &two});
  CHECK(any.Tasks().empty());
  CHECK(one.Tasks().empty());
  CHECK_EQ(Payloads(two.Tasks()), "for two ");
  FakePeer peer(d, 4);
  Submit(d, 1, 1, "for one", 0, At(1));
  CHECK(peer.Next() == Fault::kNone);
  Turn(d, {&peer, &one});
  CHECK_EQ(peer.Answers()[0], "");
  CHECK_EQ(Payloads(one.Tasks()), "for one ");
  CheckSums(d);
}

TEST(AWorkerTakesTheMoreUrgentOfItsOwnAndTheCommonAndOfOneLevelTheFirst) {
  DispatcherOptions options = Options();
  options.levels = 3;
  for (const std::uint32_t prefetch : {1u, 4u, 100u}) {
    options.prefetch = prefetch;
    Dispatcher d(options);
    std::uint32_t ticket = 0;
    const auto submit = [&](std::uint32_t level, const char* name, std::uint32_t place) {
      Submit(d, level, ticket++, name, 0, At(place));
    };
    submit(1, "own1", 1);
    submit(1, "any1", 0);
    submit(2, "any2", 0);
    submit(2, "own2", 1);
    submit(1, "own3", 1);
    submit(1, "other", 2);
    submit(1, "own4", 1);
    submit(1, "any3", 0);
    submit(0, "own5", 1);
    submit(0, "any4", 0);
    Hand w(d, 1, 1);
    CHECK_EQ(Drain(d, w), "own5 any4 own1 any1 own3 own4 any3 any2 own2 ");
    CHECK_EQ(d.counts().waiting, 1u);
    CHECK_EQ(d.counts().fresh, 1u);
  }
}

TEST(WhatWaitsForAPlaceHoldsUpNobodyAndIsNoBacklogUntilSomebodyIsThere) {
  Dispatcher d(Options());
  FakeWorker any(d, 1);
  for (std::uint32_t i = 0; i < 3; ++i) Submit(d, 0, i, "own" + std::to_string(i), 0, At(1));
  Submit(d, 1, 3, "any");
  CHECK_EQ(d.backlog(), 1u);
  CHECK_EQ(Drain(d, any), "any ");
  CHECK_EQ(d.counts().waiting, 3u);
  CHECK_EQ(d.backlog(), 0u);
  Hand first(d, 2, 1, false), second(d, 3, 1);
  CHECK_EQ(d.backlog(), 3u);
  d.SendClose(first.connection(), false);
  d.SendClose(second.connection(), false);
  CHECK_EQ(d.backlog(), 0u);
  CHECK_EQ(Drain(d, second), "");
  CHECK(d.Disconnect(first.connection()));
  CHECK(d.Disconnect(second.connection()));
  CHECK_EQ(d.backlog(), 0u);
  Hand third(d, 4, 1);
  CHECK_EQ(d.backlog(), 3u);
  CHECK_EQ(Drain(d, third), "own0 own1 own2 ");
  CHECK_EQ(d.backlog(), 0u);
}

TEST(ACancelledOneLeavesNothingBehindThoughItsPlaceNeverComes) {
  Dispatcher d(Options());
  d.set_now(kStart);
  for (std::uint32_t round = 0; round < 3; ++round) {
    for (std::uint32_t i = 0; i < 1000; ++i) {
      Submit(d, i % 2, i, "x", 0, At(1 + i % 3, {.deadline_ms = i % 4 == 0 ? 10u : 0u}));
    }
    CHECK_EQ(d.TicketsAt(2).size(), 333u);
    d.set_now(kStart + std::uint64_t{round + 1} * 20 * kMs);
    d.Dispatch();
    CHECK_EQ(d.counts().waiting, 750u);
    for (std::uint32_t i = 0; i < 1000; ++i) {
      CHECK_EQ(d.Cancel(i) == CancelOutcome::kDropped, i % 4 != 0);
    }
    CheckSums(d);
    CHECK_EQ(d.counts().Left(), 0u);
    CHECK_EQ(d.tombstones(), 0u);
    CHECK_EQ(d.backlog(), 0u);
    CHECK(d.TicketsAt(2).empty());
    CHECK_EQ(ReadAll(d.completions()).size(), 1000u);
  }
  // A slot that is used again has no place.
  FakeWorker any(d, 1);
  Submit(d, 0, 0, "any");
  CHECK_EQ(Drain(d, any), "any ");
}

TEST(WhatReturnsGoesToTheFrontOfItsLevelAtItsPlace) {
  Dispatcher d(Options(2));
  Hand w(d, 1, 1);
  for (std::uint32_t i = 0; i < 4; ++i) Submit(d, 1, i, std::to_string(i), kFlagRetryLost, At(1, Retries(1)));
  Turn(d, {&w});
  std::vector<Task> tasks = w.Tasks();
  CHECK_EQ(Payloads(tasks), "0 1 ");
  CHECK(w.Claim(tasks[0]));
  CHECK(d.Disconnect(w.connection()));
  CHECK_EQ(d.counts().recalled, 1u);
  CHECK(d.Retry(HeldOf(d).slot, 0));
  CheckSums(d);
  FakeWorker any(d, 2);
  Hand other(d, 3, 2);
  Turn(d, {&any, &other});
  CHECK(any.Tasks().empty());
  CHECK(other.Tasks().empty());
  Submit(d, 1, 9, "last", 0, At(1));
  Hand again(d, 4, 1);
  CHECK_EQ(Drain(d, again), "0 1 2 3 last ");
}

TEST(OneThatIsTriedAgainLaterIsFoundByItsPlaceMeanwhile) {
  Dispatcher d(Options());
  d.set_now(kStart);
  Hand w(d, 1, 1);
  Submit(d, 1, 0, "x", kFlagRetryError, At(1, Retries(3)));
  CHECK(Finish(w, Begin(d, w, kStart), DoneStatus::kError) == Fault::kNone);
  CHECK_EQ(d.TicketsAt(1).size(), 1u);
  CHECK(d.Retry(HeldOf(d).slot, 5 * kMs));
  CHECK_EQ(d.TicketsAt(1).size(), 1u);
  d.set_now(kStart + 5 * kMs);
  CHECK(Finish(w, Begin(d, w, kStart), DoneStatus::kError) == Fault::kNone);
  CHECK(d.Retry(HeldOf(d).slot, 5 * kMs));
  CHECK(d.Cancel(0) == CancelOutcome::kDropped);
  CHECK(d.TicketsAt(1).empty());
  CheckSums(d);
}

TEST(WhatWasSentAheadAndNotBegunIsTakenBackToItsPlace) {
  Dispatcher d(Options(3));
  Hand w(d, 1, 1);
  Submit(d, 1, 0, "runs", 0, At(1));
  Submit(d, 1, 1, "own", 0, At(1));
  Submit(d, 1, 2, "any");
  Turn(d, {&w});
  const std::vector<Task> tasks = w.Tasks();
  CHECK_EQ(Payloads(tasks), "runs own any ");
  CHECK(w.Claim(tasks[0]));
  FakeWorker idle(d, 2);
  CHECK(d.WatchStuck());
  d.RecallStuck();
  Turn(d, {&w, &idle});
  CHECK_EQ(Payloads(idle.Tasks()), "any ");
  CHECK(w.Tasks().empty());
  CHECK_EQ(d.counts().waiting, 1u);
  CHECK(!w.Claim(tasks[1]));
  CHECK(Finish(w, tasks[0]) == Fault::kNone);
  CHECK_EQ(Drain(d, w), "own ");
}

TEST(DropEndsWhatWaitsForAPlaceAndWhatComes) {
  Dispatcher d(Options(2));
  Hand w(d, 1, 1);
  for (std::uint32_t i = 0; i < 4; ++i) Submit(d, i % 2, i, "x", 0, At(1 + i / 2));
  Turn(d, {&w});
  const std::vector<Task> tasks = w.Tasks();
  CHECK_EQ(tasks.size(), 2u);
  CHECK(w.Claim(tasks[0]));
  ReadAll(d.completions());
  d.Drop();
  CHECK_EQ(Said(d), "cancelled cancelled cancelled ");
  Submit(d, 0, 7, "late", 0, At(1));
  CHECK_EQ(Said(d), "cancelled ");
  CHECK(Finish(w, tasks[0]) == Fault::kNone);
  CHECK_EQ(d.counts().Left(), 0u);
  CHECK(d.TicketsAt(1).empty());
  CHECK(d.TicketsAt(2).empty());
  CheckSums(d);
}

TEST(LettersWaitWithTheTask) {
  Dispatcher d(Options());
  Submit(d, 1, 0, "x", 0, At(1));
  CHECK(d.SendTo(0, Span("letter")));
  Hand w(d, 1, 1);
  const Task task = Begin(d, w, kStart);
  CHECK_EQ(w.Letters(), std::to_string(task.sequence) + ":letter ");
}

TEST(WhatATaskSchedulesRunsAnywhere) {
  Dispatcher d(Options());
  Hand w(d, 1, 1);
  Submit(d, 1, 0, "parent", 0, At(1));
  const Task parent = Begin(d, w, kStart);
  CHECK(w.Schedule(1, 1, "child", {}, parent.sequence) == Fault::kNone);
  CHECK_EQ(d.TicketsAt(1).size(), 1u);
  FakeWorker any(d, 2);
  CHECK_EQ(Drain(d, any), "child ");
  // One that waits lends its place to what others wait for, not to tasks of its own.
  Submit(d, 0, 1, "own", 0, At(1));
  CHECK(w.Fork(1, 2, "awaited", parent.sequence) == Fault::kNone);
  CHECK(d.Disconnect(any.connection()));
  Turn(d, {&w});
  const std::vector<Task> tasks = w.Tasks();
  CHECK_EQ(Payloads(tasks), "awaited ");
  CHECK(w.Claim(tasks[0], 1));
  w.End(tasks[0], 1);
  CHECK(w.Done(tasks[0].sequence) == Fault::kNone);
  CHECK(Finish(w, parent) == Fault::kNone);
  CHECK_EQ(Drain(d, w), "own ");
}

}  // namespace

int main() { return bosun::test::RunAll(); }
