// Cancelling a task wherever it is, and dropping all of them.

#include <cstdint>
#include <string>
#include <vector>

#include "attempts_harness.h"

namespace {

using namespace bosun;
using namespace bosun::test;

TEST(CancelOfAQueuedOrUnclaimedTaskDropsIt) {
  for (const bool sent : {false, true}) {
    Dispatcher d(Options());
    FakeWorker w(d, 1);
    Submit(d, 0, 0, "x", kFlagRetryError | kFlagRetryLost, Retries(3));
    if (sent) Turn(d, {&w});
    CHECK(d.Cancel(0) == CancelOutcome::kDropped);
    CheckSums(d);
    CHECK_EQ(Said(d), "ready cancelled ");
    CHECK_EQ(d.counts().Left(), 0u);
    for (const Task& task : w.Tasks()) CHECK(!w.Claim(task));
    Turn(d, {&w});
    CHECK_EQ(d.tombstones(), 0u);
    CheckSums(d);
  }
}

TEST(CancelOfARunningTaskDecidesHowItEndsWhateverItsWorkerSays) {
  for (const DoneStatus status : {DoneStatus::kValue, DoneStatus::kError, DoneStatus::kCancelled}) {
    Dispatcher d(Options());
    d.set_now(kStart);
    FakeWorker w(d, 1);
    Submit(d, 0, 0, "x", kFlagRetryError | kFlagRetryLost | kFlagInboxErrors, Retries(3));
    const Task task = Begin(d, w, kStart);
    CHECK(d.Cancel(0) == CancelOutcome::kAsked);
    CHECK(d.Cancel(0) == CancelOutcome::kAsked);
    CHECK_EQ(w.Stopped(task), StopReason::kCancelled);
    Turn(d, {&w});
    CHECK_EQ(w.Others().size(), 1u);
    ReadAll(d.completions());
    CHECK(Finish(w, task, status, "said") == Fault::kNone);
    const std::vector<Read> records = ReadAll(d.completions());
    CHECK_EQ(KindsOf(records), "cancelled ");
    CHECK_EQ(records[0].payload, "");
    CHECK_EQ(d.inbox().count(), 0u);
    CHECK_EQ(d.counts().cancelled, 1u);
    CheckSums(d);
  }
}

TEST(CancelOfAHeldTaskIsSettledByTheOwnersAnswer) {
  for (const bool settle : {false, true}) {
    Dispatcher d(Options());
    FakeWorker w(d, 1);
    Submit(d, 0, 0, "x", kFlagRetryLost, Retries(3));
    Begin(d, w, kStart);
    CHECK(d.Disconnect(w.connection()));
    const std::uint32_t slot = HeldOf(d).slot;
    CHECK(d.Cancel(0) == CancelOutcome::kAsked);
    CheckSums(d);
    if (settle) {
      CHECK(SettleLost(d, slot, false) == LostOutcome::kCancelled);
    } else {
      CHECK(d.Retry(slot, 10));
    }
    CHECK_EQ(Said(d), "cancelled ");
    CHECK_EQ(d.counts().Left(), 0u);
    CheckSums(d);
  }
}

TEST(CancelOfADelayedTaskDropsItAndItsTimeMeansNothing) {
  Dispatcher d(Options());
  d.set_now(kStart);
  FakeWorker w(d, 1);
  Submit(d, 0, 0, "x", kFlagRetryError, Retries(3));
  CHECK(Finish(w, Begin(d, w, kStart), DoneStatus::kError) == Fault::kNone);
  CHECK(d.Retry(HeldOf(d).slot, 10 * kMs));
  CHECK(d.Cancel(0) == CancelOutcome::kDropped);
  CHECK(d.Cancel(0) == CancelOutcome::kUnknown);
  CheckSums(d);
  CHECK_EQ(Said(d), "cancelled ");
  Turn(d, {&w});
  CHECK_EQ(d.next_due(), 0u);
}

TEST(CancelOfATimedOutTaskCountsWhileAnotherAttemptWasToFollow) {
  for (const std::uint16_t retries : {0, 1}) {
    Dispatcher d(Options());
    d.set_now(kStart);
    FakeWorker w(d, 1);
    Submit(d, 0, 0, "x", kFlagRetryTimeout, Retries(retries, 10));
    const Task task = Begin(d, w, kStart);
    d.set_now(kStart + 10 * kMs);
    Turn(d, {&w});
    d.set_now(kStart + 10 * kMs + kMomentUs);
    Turn(d, {&w});
    CHECK_EQ(Said(d), retries == 0 ? "ready stopping " : "ready ");
    CHECK(d.Cancel(0) == (retries == 0 ? CancelOutcome::kUnknown : CancelOutcome::kAsked));
    // Who waits for it is told a moment later, though the moment behind the time-out has passed.
    d.set_now(kStart + 10 * kMs + 2 * kMomentUs);
    Turn(d, {&w});
    CHECK_EQ(Said(d), retries == 0 ? "" : "stopping ");
    CHECK(Finish(w, task, DoneStatus::kError, "late") == Fault::kNone);
    CHECK_EQ(Said(d), retries == 0 ? "timeout " : "cancelled ");
    CheckSums(d);
  }
}

TEST(CancelOfATimedOutTaskThatIsHeldEndsIt) {
  Dispatcher d(Options());
  d.set_now(kStart);
  FakeWorker w(d, 1);
  Submit(d, 0, 0, "x", kFlagRetryTimeout, Retries(1, 10));
  const Task task = Begin(d, w, kStart);
  d.set_now(kStart + 10 * kMs);
  Turn(d, {&w});
  CHECK(Finish(w, task, DoneStatus::kCancelled) == Fault::kNone);
  const std::uint32_t slot = HeldOf(d).slot;
  CHECK(d.Cancel(0) == CancelOutcome::kAsked);
  CHECK(d.Retry(slot, 0));
  CHECK_EQ(Said(d), "cancelled ");
  CheckSums(d);
}

TEST(DropCancelsDelayedTasksAtOnceAndHeldOnesWhenTheOwnerAnswers) {
  Dispatcher d(Options(3));
  d.set_now(kStart);
  FakeWorker w(d, 1);
  for (std::uint32_t i = 0; i < 4; ++i) Submit(d, 0, i, std::to_string(i), kFlagRetryError, Retries(5));
  Turn(d, {&w});
  std::vector<std::uint32_t> held;
  for (const Task& task : w.Tasks()) {
    CHECK(w.Claim(task));
    if (task.payload == "2") continue;
    CHECK(Finish(w, task, DoneStatus::kError) == Fault::kNone);
    held.push_back(HeldOf(d).slot);
  }
  CHECK(d.Retry(held[0], kMs));
  d.Drop();
  CheckSums(d);
  CHECK_EQ(d.counts().cancelled, 2u);
  CHECK_EQ(d.counts().held, 1u);
  CHECK_EQ(d.next_due(), 0u);
  CHECK(d.Retry(held[1], kMs));
  CHECK_EQ(d.counts().cancelled, 3u);
  // What runs goes on, and is not tried again.
  CHECK(w.Done(3, DoneStatus::kError) == Fault::kNone);
  CHECK_EQ(d.counts().failed, 1u);
  CHECK_EQ(d.counts().Left(), 0u);
  CHECK_EQ(Said(d), "cancelled cancelled cancelled error ");
  CheckSums(d);
}

}  // namespace

int main() { return bosun::test::RunAll(); }
