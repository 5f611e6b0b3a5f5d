// Which failures are followed by another attempt, and when.

#include <cstdint>
#include <string>
#include <vector>

#include "attempts_harness.h"

namespace {

using namespace bosun;
using namespace bosun::test;

TEST(AnotherAttemptIsAllowedForTheCausesThatWereNamedOnly) {
  const std::uint8_t flags[] = {kFlagRetryLost, kFlagRetryError, kFlagRetryTimeout};
  for (const std::uint8_t cause : flags) {
    for (const std::uint8_t named : flags) {
      Dispatcher d(Options());
      d.set_now(kStart);
      FakeWorker w(d, 1);
      Submit(d, 0, 0, "x", named, Retries(1, 10));
      const Task task = Begin(d, w, kStart);
      CHECK_EQ(task.attempt, 1u);
      ReadAll(d.completions());
      if (cause == kFlagRetryLost) {
        CHECK(d.Disconnect(w.connection()));
        CheckSums(d);
        const LostOutcome outcome = SettleLost(d, HeldOf(d).slot, false);
        CHECK_EQ(outcome, named == cause ? LostOutcome::kRetry : LostOutcome::kFailed);
      } else if (cause == kFlagRetryError) {
        CHECK(Finish(w, task, DoneStatus::kError, "why") == Fault::kNone);
        CHECK_EQ(Said(d), named == cause ? "retry " : "error ");
      } else {
        d.set_now(kStart + 10 * kMs);
        Turn(d, {&w});
        CHECK_EQ(w.Stopped(task), StopReason::kTimeout);
        CHECK(Finish(w, task, DoneStatus::kCancelled) == Fault::kNone);
        CHECK_EQ(Said(d), named == cause ? "retry " : "timeout ");
      }
      CHECK_EQ(d.counts().held, named == cause ? 1u : 0u);
      CHECK_EQ(d.counts().failed, named == cause ? 0u : 1u);
      CheckSums(d);
    }
  }
}

TEST(AttemptsAreCountedUpToTheLastThatIsAllowed) {
  Dispatcher d(Options());
  d.set_now(kStart);
  FakeWorker w(d, 1);
  Submit(d, 0, 0, "x", kFlagRetryError, Retries(2));
  for (std::uint16_t attempt = 1; attempt <= 3; ++attempt) {
    const Task task = Begin(d, w, kStart);
    CHECK_EQ(task.attempt, attempt);
    ReadAll(d.completions());
    CHECK(Finish(w, task, DoneStatus::kError, "why") == Fault::kNone);
    const std::vector<Read> records = ReadAll(d.completions());
    CHECK_EQ(KindsOf(records), attempt < 3 ? "retry " : "error ");
    CHECK_EQ(records[0].record.attempt, attempt);
    CHECK_EQ(records[0].record.run_us, 5000u);
    CHECK_EQ(records[0].payload, "why");
    if (attempt < 3) CHECK(d.Retry(records[0].record.slot, 0));
    CheckSums(d);
  }
  CHECK_EQ(d.counts().retried, 2u);
  CHECK_EQ(d.counts().failed, 1u);
  CHECK_EQ(d.runs().count(), 3u);
  CHECK_EQ(d.waits().count(), 3u);
}

TEST(TheNumberOfAnAttemptDoesNotWrapAround) {
  Dispatcher d(Options());
  d.set_now(kStart);
  FakeWorker w(d, 1);
  Submit(d, 0, 0, "x", kFlagRetryError, Retries(0xFFFF));
  for (std::uint32_t attempt = 1;; ++attempt) {
    const Task task = Begin(d, w, kStart);
    CHECK_EQ(task.attempt, attempt);
    CHECK(Finish(w, task, DoneStatus::kError) == Fault::kNone);
    const Record held = HeldOf(d);
    if (held.kind != RecordKind::kRetry) break;
    CHECK(d.Retry(held.slot, 0));
  }
  CHECK_EQ(d.counts().retried, 0xFFFEu);
  CHECK_EQ(d.counts().failed, 1u);
  CheckSums(d);
}

TEST(ATaskThatHasCostTooManyWorkersIsPoisonHoweverManyRetriesAreLeft) {
  Dispatcher d(Options());
  d.set_now(kStart);
  Submit(d, 0, 0, "x", kFlagRetryLost | kFlagInboxErrors, Retries(100, 0, 3));
  for (int crash = 1; crash <= 3; ++crash) {
    FakeWorker w(d, 1);
    const Task task = Begin(d, w, kStart);
    CHECK(d.Disconnect(w.connection()));
    const Record held = HeldOf(d);
    CHECK_EQ(held.kind, RecordKind::kLost);
    CHECK_EQ(held.attempt, crash);
    CHECK_EQ(SettleLost(d, held.slot, false), crash < 3 ? LostOutcome::kRetry : LostOutcome::kPoison);
    CHECK_EQ(d.Retry(held.slot, 0), crash < 3);
    CheckSums(d);
  }
  CHECK_EQ(d.counts().failed, 1u);
  // Its place in the inbox is marked; its error is the owner's.
  const std::vector<Read> inbox = ReadAll(d.inbox());
  CHECK_EQ(KindsOf(inbox), "lost ");
  CHECK_EQ(inbox[0].payload, "");
  CHECK_EQ(Said(d), "");
}

TEST(AWorkerThatWasKilledBecauseOfATaskIsNoCrashOfIt) {
  Dispatcher d(Options());
  d.set_now(kStart);
  Submit(d, 0, 0, "x", kFlagRetryLost | kFlagRetryTimeout, Retries(2, 10, 1));
  std::uint64_t now = kStart;
  for (int attempt = 1; attempt <= 3; ++attempt) {
    FakeWorker w(d, 1);
    Begin(d, w, now);
    d.set_now(now += 10 * kMs);
    Turn(d, {&w});
    // Lost while it was told to stop: that is a time-out, and retried as one.
    CHECK(d.Disconnect(w.connection()));
    const Record held = HeldOf(d);
    CHECK_EQ(held.kind, RecordKind::kLost);
    CHECK_EQ(SettleLost(d, held.slot, false), attempt < 3 ? LostOutcome::kRetry : LostOutcome::kTimedOut);
    CHECK_EQ(d.Retry(held.slot, 0), attempt < 3);
    CheckSums(d);
  }
  CHECK_EQ(d.counts().failed, 1u);
  CHECK_EQ(Said(d), "timeout ");
}

TEST(ALostResultIsNamedAsSuch) {
  Dispatcher d(Options());
  d.set_now(kStart);
  FakeWorker w(d, 1);
  Submit(d, 1, 0, "mine", kFlagRetryLost, Retries(1));
  w.End(Begin(d, w, kStart));
  ReadAll(d.completions());
  CHECK(d.Disconnect(w.connection()));
  const std::vector<Read> records = ReadAll(d.completions());
  CHECK_EQ(KindsOf(records), "lostResult ");
  CHECK_EQ(records[0].payload, "mine");
  CHECK_EQ(records[0].record.level, 1u);
  CHECK_EQ(SettleLost(d, records[0].record.slot, false), LostOutcome::kRetry);
  CheckSums(d);
}

TEST(TheNextAttemptWaitsForItsTimeAndGoesToTheFront) {
  Dispatcher d(Options());
  d.set_now(kStart);
  FakeWorker w(d, 1);
  Submit(d, 0, 0, "again", kFlagRetryError, Retries(1));
  const Task task = Begin(d, w, kStart);
  CHECK(Finish(w, task, DoneStatus::kError) == Fault::kNone);
  CHECK(d.Retry(HeldOf(d).slot, 250 * kMs));
  CHECK(!d.Retry(0, 0));
  CHECK_EQ(d.next_due(), kStart + 250 * kMs);
  CHECK_EQ(d.counts().held, 1u);
  Submit(d, 0, 1, "later");
  Submit(d, 0, 2, "last");
  const Task later = Begin(d, w, kStart);
  CHECK_EQ(later.payload, "later");
  d.set_now(kStart + 250 * kMs - 1);
  Turn(d, {&w});
  CHECK_EQ(d.counts().held, 1u);
  d.set_now(kStart + 250 * kMs);
  Turn(d, {&w});
  CHECK_EQ(d.counts().held, 0u);
  CHECK_EQ(d.next_due(), 0u);
  CHECK(Finish(w, later) == Fault::kNone);
  const Task again = Begin(d, w, kStart + 250 * kMs);
  CHECK_EQ(again.payload, "again");
  CHECK_EQ(again.attempt, 2u);
  CHECK(Finish(w, again) == Fault::kNone);
  CHECK_EQ(Begin(d, w, kStart).payload, "last");
}

TEST(SettlingOrRetryingWhatIsNotHeldChangesNothing) {
  Dispatcher d(Options());
  for (const std::uint32_t slot : {0u, 1u, 5000u, 1u << 26, kNoSlot}) {
    CHECK(SettleLost(d, slot, false) == LostOutcome::kUnknown);
    CHECK(!d.Retry(slot, 0));
  }
  FakeWorker w(d, 1);
  Submit(d, 0, 0, "x");
  Begin(d, w, kStart);
  for (std::uint32_t slot = 0; slot < 4096; ++slot) {
    CHECK(SettleLost(d, slot, true) == LostOutcome::kUnknown);
    CHECK(!d.Retry(slot, 1));
  }
  CHECK_EQ(d.counts().sent, 1u);
  CheckSums(d);
}

}  // namespace

int main() { return bosun::test::RunAll(); }
