// What is due when: deadlines, time-outs, the moment and the patience behind a request to stop.

#include <cstdint>
#include <string>
#include <vector>

#include "attempts_harness.h"

namespace {

using namespace bosun;
using namespace bosun::test;

Submission Timeout(std::uint32_t ms) { return {.timeout_ms = ms}; }
Submission Deadline(std::uint32_t ms) { return {.deadline_ms = ms}; }

// A dispatcher whose time goes on, and one worker.
struct Scene {
  explicit Scene(const DispatcherOptions& options = Options()) : d(options) {
    d.set_now(now);
    w.Greet();
    ReadAll(d.completions());
  }

  // Until `us` behind the start.
  std::string At(std::uint64_t us) {
    now = kStart + us;
    d.set_now(now);
    Turn(d, {&w});
    CheckSums(d);
    CHECK(d.next_due() == 0 || d.next_due() > now);
    return Said(d);
  }

  std::vector<Task> Sent(std::size_t count) {
    Turn(d, {&w});
    std::vector<Task> tasks = w.Tasks();
    CHECK_EQ(tasks.size(), count);
    return tasks;
  }

  Fault Finish(const Task& task, std::uint32_t lane = 0) {
    w.End(task, lane);
    return w.Done(task.sequence);
  }

  Dispatcher d;
  FakeWorker w{d, 1, false};
  std::uint64_t now = kStart;
};

// ---- deadlines ----------------------------------------------------------------------

TEST(ADeadlineDropsWhatWaitsAndWhatWasSentAheadButNothingThatHasBegun) {
  Scene s(Options(2));
  for (std::uint32_t i = 0; i < 4; ++i) Submit(s.d, 0, i, std::to_string(i), kFlagInboxErrors, Deadline(20));
  const std::vector<Task> tasks = s.Sent(2);
  CHECK(s.w.Claim(tasks[0], 0, s.now));
  CHECK_EQ(s.At(20 * kMs - 1), "");
  CHECK_EQ(s.At(20 * kMs), "deadline deadline deadline ");
  CHECK_EQ(KindsOf(ReadAll(s.d.inbox())), "deadline deadline deadline ");
  CHECK_EQ(s.d.counts().cancelled, 3u);
  CHECK(!s.w.Claim(tasks[1]));
  CHECK(s.Finish(tasks[0]) == Fault::kNone);
  CHECK_EQ(s.At(1000 * kMs), "value ");
  CHECK_EQ(s.d.next_due(), 0u);
}

TEST(ADeadlineMeansNothingForATaskThatIsStoppingHeldDelayedOrTriedAgain) {
  Scene s;
  const Submission policy{.max_retries = 3, .deadline_ms = 20};
  Submit(s.d, 0, 0, "x", kFlagRetryError, policy);
  Task task = s.Sent(1)[0];
  CHECK(s.w.Claim(task, 0, s.now));
  CHECK(s.w.Done(task.sequence, DoneStatus::kError) == Fault::kNone);
  const std::vector<Read> held = ReadAll(s.d.completions());
  CHECK_EQ(s.At(20 * kMs), "");
  CHECK_EQ(s.d.counts().held, 1u);
  CHECK(s.d.Retry(held[0].record.slot, 30 * kMs));
  CHECK_EQ(s.At(49 * kMs), "");
  CHECK_EQ(s.d.counts().held, 1u);
  CHECK_EQ(s.At(50 * kMs), "");
  task = s.Sent(1)[0];
  CHECK(s.w.Claim(task, 0, s.now));
  CHECK(s.d.Cancel(0) == CancelOutcome::kAsked);
  CHECK_EQ(s.At(60 * kMs), "");
}

TEST(ATaskThatAWorkerScheduledCarriesItsBytesWhenItComesTooLate) {
  Scene s;
  s.d.set_report_all(true);
  Submit(s.d, 0, 0, "busy");
  CHECK(s.w.Claim(s.Sent(1)[0], 0, s.now));
  CHECK(s.w.Schedule(1, 1, "child", Deadline(20)) == Fault::kNone);
  s.d.set_now(s.now + 20 * kMs);
  s.d.Dispatch();
  for (RecordQueue* records : {&s.d.completions(), &s.d.inbox()}) {
    const std::vector<Read> read = ReadAll(*records);
    CHECK_EQ(KindsOf(read), "deadline ");
    CHECK_EQ(read[0].payload, "child");
  }
}

// Slots are used again, and workers number what they schedule: two tasks in one slot may have the same number.
TEST(AnAlarmNeverRingsForTheNextTaskInItsSlot) {
  Scene s(Options(2));
  FakeWorker other(s.d, 2);
  const Submission policy{.timeout_ms = 10, .deadline_ms = 10};
  CHECK(s.w.Schedule(0, 7, "first", policy) == Fault::kNone);
  const Task first = s.Sent(1)[0];
  CHECK(s.w.Claim(first, 0, s.now));
  CHECK(s.Finish(first) == Fault::kNone);
  CHECK(other.Schedule(0, 7, "second") == Fault::kNone);
  s.d.SendClose(other.connection(), false);
  const Task second = s.Sent(1)[0];
  CHECK_EQ(second.payload, "second");
  CHECK(s.w.Claim(second, 0, s.now));
  CHECK_EQ(s.At(10 * kMs), "ready ");
  CHECK_EQ(s.w.Stopped(second), StopReason::kNone);
  CHECK_EQ(s.d.next_due(), 0u);
}

// ---- time-outs ----------------------------------------------------------------------

TEST(ATimeoutCountsFromTheStartThatTheLaneSays) {
  Scene s;
  Submit(s.d, 0, 0, "x", 0, Timeout(50));
  const Task task = s.Sent(1)[0];
  CHECK(s.w.Claim(task, 0, s.now + 30 * kMs));
  CHECK_EQ(s.At(50 * kMs), "");
  CHECK_EQ(s.w.Stopped(task), StopReason::kNone);
  CHECK_EQ(s.d.next_due(), s.now + 30 * kMs);
  CHECK_EQ(s.At(80 * kMs), "");
  CHECK_EQ(s.w.Stopped(task), StopReason::kTimeout);
  const auto others = s.w.Others();
  CHECK_EQ(others.size(), 1u);
  CHECK_EQ(others[0].first, kCancel);
  CHECK_EQ(others[0].second[4], static_cast<char>(StopReason::kTimeout));
  CHECK(s.Finish(task) == Fault::kNone);
  CHECK_EQ(s.At(90 * kMs), "timeout ");
  CHECK_EQ(s.d.counts().failed, 1u);
  CHECK_EQ(s.d.next_due(), 0u);
}

TEST(ATimeoutOfATaskThatHasNotBegunIsSetAgain) {
  Scene s;
  Submit(s.d, 0, 0, "x", 0, Timeout(50));
  const Task task = s.Sent(1)[0];
  for (std::uint64_t round = 1; round <= 3; ++round) {
    CHECK_EQ(s.At(round * 50 * kMs), "");
    CHECK_EQ(s.d.next_due(), s.now + 50 * kMs);
  }
  CHECK(s.w.Claim(task, 0, s.now + 10 * kMs));
  CHECK_EQ(s.At(200 * kMs), "");
  CHECK_EQ(s.w.Stopped(task), StopReason::kNone);
  CHECK_EQ(s.At(210 * kMs), "");
  CHECK_EQ(s.w.Stopped(task), StopReason::kTimeout);
}

TEST(ATaskThatHasEndedIsNeverOverTime) {
  Scene s;
  Submit(s.d, 0, 0, "x", 0, Timeout(50));
  const Task task = s.Sent(1)[0];
  CHECK(s.w.Claim(task, 0, s.now));
  s.w.End(task);
  CHECK_EQ(s.At(10'000 * kMs), "");
  CHECK_EQ(s.w.Others().size(), 0u);
  CHECK(s.w.Done(task.sequence) == Fault::kNone);
  CHECK_EQ(Said(s.d), "value ");
}

TEST(AStartInTheFutureOrInNoLaneHelpsNobody) {
  Scene s;
  Submit(s.d, 0, 0, "x", 0, Timeout(50));
  const Task task = s.Sent(1)[0];
  CHECK(s.w.Claim(task, 0, ~std::uint64_t{0}));
  CHECK_EQ(s.At(50 * kMs), "");
  CHECK_EQ(s.d.next_due(), s.now + 50 * kMs);
  s.w.page()->lanes[0].End();
  CHECK_EQ(s.At(100 * kMs), "");
  CHECK_EQ(s.w.Others().size(), 1u);
}

TEST(AWorkerWithoutAPageIsTimedFromTheSending) {
  Scene s;
  FakeWorker bare(s.d, 2, true, false);
  s.d.SendClose(s.w.connection(), false);
  Submit(s.d, 0, 0, "x", 0, Timeout(50));
  Turn(s.d, {&bare});
  CHECK_EQ(bare.Tasks().size(), 1u);
  s.d.set_now(s.now + 50 * kMs);
  Turn(s.d, {&bare});
  CHECK_EQ(bare.Others().size(), 1u);
  CHECK(s.d.Cancel(0) == CancelOutcome::kUnknown);
  CHECK(bare.Done(1) == Fault::kNone);
  CHECK_EQ(Said(s.d), "ready timeout ");
}

// ---- after the request to stop --------------------------------------------------------

TEST(AWorkerThatIsStoppingATaskGetsNothingAndItsUnbegunTasksGoToOthers) {
  Scene s(Options(3));
  for (std::uint32_t i = 0; i < 3; ++i) Submit(s.d, 0, i, std::to_string(i), 0, Timeout(50));
  const std::vector<Task> tasks = s.Sent(3);
  CHECK(s.w.Claim(tasks[0], 0, s.now));
  CHECK_EQ(s.At(50 * kMs), "");
  CHECK_EQ(s.d.counts().waiting, 2u);
  CHECK_EQ(s.d.Find(s.w.connection())->Room(), 0u);
  FakeWorker next(s.d, 2);
  Turn(s.d, {&s.w, &next});
  CHECK_EQ(Payloads(s.w.Tasks()), "");
  CHECK_EQ(Payloads(next.Tasks()), "1 2 ");
  CHECK(s.Finish(tasks[0]) == Fault::kNone);
  Submit(s.d, 0, 9, "more");
  Turn(s.d, {&s.w, &next});
  CHECK_EQ(Payloads(s.w.Tasks()), "more ");
}

TEST(WhoWaitsIsToldAMomentLaterAndItsWorkerIsReportedWhenPatienceEnds) {
  Scene s;
  Submit(s.d, 0, 0, "x", 0, Timeout(50));
  const Task task = s.Sent(1)[0];
  CHECK(s.w.Claim(task, 0, s.now));
  const std::uint64_t stopped = 50 * kMs;
  CHECK_EQ(s.At(stopped), "");
  CHECK_EQ(s.At(stopped + kMomentUs - 1), "");
  CHECK_EQ(s.At(stopped + kMomentUs), "stopping ");
  CHECK_EQ(s.At(stopped + kGraceUs - 1), "");
  CHECK_EQ(s.At(stopped + kGraceUs), "unresponsive ");
  CHECK_EQ(s.d.next_due(), 0u);
  CHECK(s.d.Disconnect(s.w.connection()));
  const std::vector<Read> lost = ReadAll(s.d.completions());
  CHECK_EQ(KindsOf(lost), "lost ");
  CHECK_EQ(SettleLost(s.d, lost[0].record.slot, false), LostOutcome::kTimedOut);
  CHECK_EQ(Said(s.d), "timeout ");
}

TEST(TheSiblingsOfATaskThatGoesOnHaveAsLongAgain) {
  Scene s(Options(1, 2));
  Submit(s.d, 0, 0, "bad", 0, Timeout(50));
  Submit(s.d, 0, 1, "good");
  const std::vector<Task> tasks = s.Sent(2);
  CHECK(s.w.Claim(tasks[0], 0, s.now));
  CHECK(s.w.Claim(tasks[1], 1, s.now));
  const std::uint64_t stopped = 50 * kMs;
  CHECK_EQ(s.At(stopped + kMomentUs), "");
  CHECK_EQ(s.w.Stopped(tasks[1], 1), StopReason::kNone);
  CHECK_EQ(s.At(stopped + kMomentUs + kGraceUs), "stopping ");
  CHECK(s.d.Find(s.w.connection())->condemned);
  // As soon as the last sibling has ended, nothing speaks for the worker any more.
  CHECK(s.Finish(tasks[1], 1) == Fault::kNone);
  CHECK_EQ(Said(s.d), "value unresponsive ");
}

TEST(ASiblingThatGoesOnForeverDoesNotSaveItsWorker) {
  Scene s(Options(1, 2));
  Submit(s.d, 0, 0, "bad");
  Submit(s.d, 0, 1, "good");
  const std::vector<Task> tasks = s.Sent(2);
  CHECK(s.w.Claim(tasks[0], 0, s.now));
  CHECK(s.w.Claim(tasks[1], 1, s.now));
  CHECK(s.d.Cancel(0) == CancelOutcome::kAsked);
  CHECK_EQ(s.At(kGraceUs), "stopping ");
  CHECK_EQ(s.At(2 * kGraceUs - 1), "");
  CHECK_EQ(s.At(2 * kGraceUs), "unresponsive ");
  CHECK(s.Finish(tasks[0]) == Fault::kNone);
  CHECK(!s.d.Find(s.w.connection())->condemned);
  CHECK_EQ(Said(s.d), "cancelled ");
}

TEST(ATaskIsNotBlamedForTheOneThatWasStoppedBeforeIt) {
  Scene s(Options(1, 3));
  for (std::uint32_t i = 0; i < 3; ++i) Submit(s.d, 0, i, std::to_string(i));
  const std::vector<Task> tasks = s.Sent(3);
  for (std::uint32_t i = 0; i < 3; ++i) CHECK(s.w.Claim(tasks[i], i, s.now));
  CHECK(s.d.Cancel(0) == CancelOutcome::kAsked);
  CHECK_EQ(s.At(kGraceUs), "stopping ");
  CHECK(s.d.Find(s.w.connection())->condemned);
  CHECK(s.Finish(tasks[1], 1) == Fault::kNone);
  CHECK(s.d.Cancel(2) == CancelOutcome::kAsked);
  // The first one ends; the last one was told to stop just now.
  CHECK(s.Finish(tasks[0]) == Fault::kNone);
  CHECK_EQ(Said(s.d), "value cancelled ");
  CHECK_EQ(s.At(2 * kGraceUs - 1), "stopping ");
  CHECK_EQ(s.At(2 * kGraceUs), "unresponsive ");
}

TEST(ASecondTaskThatGoesOnTakesNothingFromTheTimeOfTheOthers) {
  Scene s(Options(1, 3));
  for (std::uint32_t i = 0; i < 3; ++i) Submit(s.d, 0, i, std::to_string(i));
  const std::vector<Task> tasks = s.Sent(3);
  for (std::uint32_t i = 0; i < 3; ++i) CHECK(s.w.Claim(tasks[i], i, s.now));
  CHECK(s.d.Cancel(0) == CancelOutcome::kAsked);
  CHECK_EQ(s.At(kGraceUs / 2), "stopping ");
  CHECK(s.d.Cancel(1) == CancelOutcome::kAsked);
  CHECK_EQ(s.At(kGraceUs), "stopping ");
  CHECK_EQ(s.At(2 * kGraceUs - 1), "");
  CHECK_EQ(s.At(2 * kGraceUs), "unresponsive ");
}

TEST(NobodyIsKeptWaitingWithoutAnyPatience) {
  DispatcherOptions options = Options(1, 2);
  options.grace_us = 0;
  Scene s(options);
  for (std::uint32_t i = 0; i < 2; ++i) Submit(s.d, 0, i, std::to_string(i));
  const std::vector<Task> tasks = s.Sent(2);
  for (std::uint32_t i = 0; i < 2; ++i) CHECK(s.w.Claim(tasks[i], i, s.now));
  CHECK(s.d.Cancel(0) == CancelOutcome::kAsked);
  CHECK_EQ(s.At(0), "stopping unresponsive ");
}

TEST(AWorkerThatDisownsATaskThatItIsToStopOwesItNoMore) {
  Scene s;
  Submit(s.d, 0, 0, "x");
  Submit(s.d, 0, 1, "y");
  const Task task = s.Sent(1)[0];
  CHECK(s.w.Claim(task, 0, s.now));
  CHECK(s.d.Cancel(0) == CancelOutcome::kAsked);
  // Only a broken worker does this: its page says again that the task was not claimed.
  s.w.page()->claim.Recall(0);
  s.d.Suspend(s.w.connection(), true);
  s.d.Suspend(s.w.connection(), false);
  CheckSums(s.d);
  CHECK_EQ(Said(s.d), "cancelled ");
  CHECK_EQ(s.d.Find(s.w.connection())->stopping, 0u);
  CHECK_EQ(Payloads(s.Sent(1)), "y ");
}

TEST(ASuspendedWorkerGivesBackWhatItHasNotBegunAndGetsNothing) {
  Scene s(Options(3));
  for (std::uint32_t i = 0; i < 4; ++i) Submit(s.d, 0, i, std::to_string(i));
  const std::vector<Task> tasks = s.Sent(3);
  CHECK(s.w.Claim(tasks[0], 0, s.now));
  s.d.Suspend(s.w.connection(), true);
  s.d.Suspend(0, true);
  CheckSums(s.d);
  CHECK_EQ(s.d.counts().waiting, 3u);
  CHECK_EQ(s.At(0), "");
  CHECK(s.w.Tasks().empty());
  s.d.Suspend(s.w.connection(), false);
  CHECK_EQ(Payloads(s.Sent(2)), "1 2 ");
  CHECK(!s.w.Claim(tasks[1]));
}

}  // namespace

int main() { return bosun::test::RunAll(); }
