// Every rule of the dispatcher, without a socket.

#include <string>
#include <vector>

#include "dispatch_harness.h"

namespace {

using namespace bosun;
using namespace bosun::test;

DispatcherOptions Strict(std::uint32_t levels = 2) { return {.levels = levels, .prefetch = 1}; }

TEST(SendsTheMostUrgentFirstAndInOrderInsideALevel) {
  Dispatcher d(Strict(3));
  FakeWorker w(d, 1);
  Submit(d, 2, 0, "c0");
  Submit(d, 1, 1, "b0");
  Submit(d, 0, 2, "a0");
  Submit(d, 1, 3, "b1");
  Submit(d, 0, 4, "a1");
  std::string order;
  for (int i = 0; i < 5; ++i) {
    Turn(d, {&w});
    const std::vector<Task> tasks = w.Tasks();
    CHECK_EQ(tasks.size(), 1u);
    order += tasks[0].payload + " ";
    CHECK(w.Claim(tasks[0]));
    CHECK(w.Done(tasks[0].sequence) == Fault::kNone);
    CheckSums(d);
  }
  CHECK_EQ(order, "a0 a1 b0 b1 c0 ");
  CHECK_EQ(d.counts().done, 5u);
}

TEST(NeverExceedsAFixedWindow) {
  DispatcherOptions options;
  options.prefetch = 3;
  Dispatcher d(options);
  FakeWorker w(d, 1);
  for (std::uint32_t i = 0; i < 10; ++i) Submit(d, 0, i, std::to_string(i));
  Turn(d, {&w});
  std::vector<Task> tasks = w.Tasks();
  CHECK_EQ(Payloads(tasks), "0 1 2 ");
  CHECK(w.Claim(tasks[0]));
  CHECK(w.Done(tasks[0].sequence) == Fault::kNone);
  Turn(d, {&w});
  CHECK_EQ(Payloads(w.Tasks()), "3 ");
}

TEST(AnAutomaticWindowIsOneForLongTasksAndGrowsForShortOnes) {
  Dispatcher d({});
  FakeWorker w(d, 1);
  for (std::uint32_t i = 0; i < 100; ++i) Submit(d, 0, i, "x");
  Turn(d, {&w});
  std::vector<Task> tasks = w.Tasks();
  CHECK_EQ(tasks.size(), 1u);
  CHECK(w.Claim(tasks[0]));
  CHECK(w.Done(tasks[0].sequence, DoneStatus::kValue, 100) == Fault::kNone);
  Turn(d, {&w});
  tasks = w.Tasks();
  CHECK_EQ(tasks.size(), 20u);  // a millisecond of work, and as much of which the results are on their way
  CHECK(w.Claim(tasks[0]));
  CHECK(w.Done(tasks[0].sequence, DoneStatus::kValue, 2'500) == Fault::kNone);  // 400 on average
  for (std::size_t i = 1; i < tasks.size(); ++i) {
    CHECK(w.Claim(tasks[i]));
    CHECK(w.Done(tasks[i].sequence, DoneStatus::kValue, 400) == Fault::kNone);
  }
  Turn(d, {&w});
  tasks = w.Tasks();
  CHECK_EQ(tasks.size(), 2u);  // results of such tasks do not wait
  for (const Task& task : tasks) {
    CHECK(w.Claim(task));
    CHECK(w.Done(task.sequence, DoneStatus::kValue, 50'000) == Fault::kNone);
  }
  Turn(d, {&w});
  CHECK_EQ(w.Tasks().size(), 1u);
}

TEST(IdleWorkersGetOneEachBeforeAnybodyGetsASecond) {
  DispatcherOptions options;
  options.prefetch = 8;
  Dispatcher d(options);
  FakeWorker a(d, 1), b(d, 2), c(d, 3);
  for (std::uint32_t i = 0; i < 3; ++i) Submit(d, 0, i, "x");
  Turn(d, {&a, &b, &c});
  CHECK_EQ(a.Tasks().size(), 1u);
  CHECK_EQ(b.Tasks().size(), 1u);
  CHECK_EQ(c.Tasks().size(), 1u);
}

TEST(AWorkerGetsNothingBeforeItsHello) {
  Dispatcher d(Strict());
  FakeWorker w(d, 1, false);
  Submit(d, 0, 0, "x");
  Turn(d, {&w});
  CHECK(w.Tasks().empty());
  w.Greet();
  Turn(d, {&w});
  CHECK_EQ(w.Tasks().size(), 1u);
}

TEST(OfALostWorkersTasksTheClaimedAreChargedAndTheRestGoBackToTheFrontInOrder) {
  DispatcherOptions options;
  options.prefetch = 4;
  Dispatcher d(options);
  FakeWorker w(d, 1);
  for (std::uint32_t i = 0; i < 6; ++i) Submit(d, 1, i, std::to_string(i));
  Turn(d, {&w});
  std::vector<Task> tasks = w.Tasks();
  CHECK_EQ(Payloads(tasks), "0 1 2 3 ");
  CHECK(w.Claim(tasks[0]));
  CHECK(w.Done(tasks[0].sequence) == Fault::kNone);
  CHECK(w.Claim(tasks[1]));
  CHECK(d.Disconnect(w.connection()));
  CheckSums(d);
  CHECK_EQ(d.counts().held, 1u);
  CHECK_EQ(d.counts().recalled, 2u);
  CHECK_EQ(d.counts().waiting, 4u);
  const std::vector<Read> records = ReadAll(d.completions());
  CHECK_EQ(records.size(), 3u);  // ready, value, lost
  CHECK(records[2].record.kind == RecordKind::kLost);
  CHECK_EQ(records[2].record.ticket, 1u);
  CHECK_EQ(records[2].payload, "1");
  // A more urgent one still comes first, then what had been sent, in its order.
  Submit(d, 0, 10, "urgent");
  FakeWorker next(d, 2);
  Turn(d, {&next});
  CHECK_EQ(Payloads(next.Tasks()), "urgent 2 3 4 ");
  CHECK(SettleLost(d, records[2].record.slot, false) == LostOutcome::kFailed);
  CHECK(SettleLost(d, records[2].record.slot, false) == LostOutcome::kUnknown);
  CHECK_EQ(d.counts().failed, 1u);
  CheckSums(d);
}

TEST(AStaleConnectionIsNeverAnother) {
  Dispatcher d(Strict());
  FakeWorker first(d, 1);
  const std::uint32_t stale = first.connection();
  CHECK(d.Disconnect(stale));
  FakeWorker second(d, 2);
  CHECK(second.connection() != stale);
  CHECK(!d.Disconnect(stale));
  CHECK(first.Message("x") == Fault::kStaleConnection);
  CHECK(d.Find(stale) == nullptr);
  CHECK(d.Find(second.connection()) != nullptr);
}

TEST(RecallTakesBackWhatIsUnclaimedAndAStaleFrameIsNeverRun) {
  DispatcherOptions options;
  options.prefetch = 3;
  Dispatcher d(options);
  FakeWorker w(d, 1);
  for (std::uint32_t i = 0; i < 3; ++i) Submit(d, 0, i, std::to_string(i));
  Turn(d, {&w});
  const std::vector<Task> before = w.Tasks();
  CHECK(w.Claim(before[0]));
  // Nobody else could begin them at once.
  for (int looks = 1; looks < 16; ++looks) {
    CHECK(d.WatchStuck());
    d.RecallStuck();
    CHECK_EQ(d.counts().recalled, 0u);
  }
  CHECK(d.WatchStuck());
  d.RecallStuck();
  CheckSums(d);
  CHECK_EQ(d.counts().recalled, 2u);
  // It gets nothing to hold back before it answers.
  Turn(d, {&w});
  CHECK(w.Tasks().empty());
  CHECK(w.Done(before[0].sequence) == Fault::kNone);
  // Then they are sent again to the same worker, which still has the old frames in its buffer.
  Turn(d, {&w});
  const std::vector<Task> again = w.Tasks();
  CHECK_EQ(Payloads(again), "1 2 ");
  CHECK(!w.Claim(before[1]));
  CHECK(!w.Claim(before[2]));
  for (const Task& task : again) {
    CHECK(w.Claim(task));
    CHECK(w.Done(task.sequence) == Fault::kNone);
  }
  CHECK(w.Done(before[1].sequence) == Fault::kBadSequence);
  CHECK_EQ(d.counts().done, 3u);
  CheckSums(d);
}

TEST(AWorkerThatStartsTasksIsNotStuck) {
  DispatcherOptions options;
  options.prefetch = 3;
  Dispatcher d(options);
  FakeWorker w(d, 1);
  for (std::uint32_t i = 0; i < 3; ++i) Submit(d, 0, i, "x");
  Turn(d, {&w});
  const std::vector<Task> tasks = w.Tasks();
  CHECK(w.Claim(tasks[0]));
  CHECK(d.WatchStuck());
  CHECK(w.Claim(tasks[1]));
  d.RecallStuck();
  CHECK_EQ(d.counts().recalled, 0u);
}

TEST(AStuckWorkersTasksGoToAnIdleOne) {
  Dispatcher d({});
  FakeWorker slow(d, 1);
  Submit(d, 0, 0, "first");
  Turn(d, {&slow});
  std::vector<Task> tasks = slow.Tasks();
  CHECK(slow.Claim(tasks[0]));
  CHECK(slow.Done(tasks[0].sequence, DoneStatus::kValue, 10) == Fault::kNone);
  for (std::uint32_t i = 1; i < 4; ++i) Submit(d, 0, i, std::to_string(i));
  Turn(d, {&slow});
  tasks = slow.Tasks();
  CHECK_EQ(Payloads(tasks), "1 2 3 ");
  CHECK(slow.Claim(tasks[0]));
  FakeWorker idle(d, 2);
  CHECK(d.WatchStuck());
  d.RecallStuck();
  Turn(d, {&slow, &idle});
  CHECK(slow.Tasks().empty());
  CHECK_EQ(Payloads(idle.Tasks()), "2 ");
}

TEST(ATaskIsInExactlyOnePlaceAndTheCountsSaySo) {
  Dispatcher d(Strict());
  FakeWorker w(d, 7);
  Submit(d, 1, 0, "parent");
  Turn(d, {&w});
  const std::vector<Task> tasks = w.Tasks();
  CHECK(w.Claim(tasks[0]));
  // Children are counted before their parent is done: what is left never touches 0 in between.
  CHECK(w.Schedule(0, 1, "child") == Fault::kNone);
  CHECK_EQ(d.counts().Left(), 2u);
  CHECK(w.Done(tasks[0].sequence) == Fault::kNone);
  CHECK_EQ(d.counts().Left(), 1u);
  Turn(d, {&w});
  const std::vector<Task> children = w.Tasks();
  CHECK_EQ(children[0].id, (7ull << 32) + 1);
  CHECK(w.Claim(children[0]));
  CHECK(w.Done(children[0].sequence, DoneStatus::kError, 1, "why") == Fault::kNone);
  CHECK_EQ(d.counts().Left(), 0u);
  CheckSums(d);
  // Nobody but the inbox learns of a failure of a task without a ticket.
  const std::vector<Read> inbox = ReadAll(d.inbox());
  CHECK_EQ(inbox.size(), 1u);
  CHECK(inbox[0].record.kind == RecordKind::kError);
  CHECK_EQ(inbox[0].payload, "why");
}

TEST(CancelDropsAWaitingTaskAndAsksForARunningOne) {
  Dispatcher d(Strict());
  FakeWorker w(d, 1);
  for (std::uint32_t i = 0; i < 3; ++i) Submit(d, 0, i, std::to_string(i));
  Turn(d, {&w});
  const std::vector<Task> tasks = w.Tasks();
  CHECK(w.Claim(tasks[0]));
  CHECK(d.Cancel(1) == CancelOutcome::kDropped);
  CHECK(d.Cancel(1) == CancelOutcome::kUnknown);
  CHECK(d.Cancel(99) == CancelOutcome::kUnknown);
  CHECK(w.Stopped(tasks[0]) == StopReason::kNone);
  CHECK(d.Cancel(0) == CancelOutcome::kAsked);
  CHECK(w.Stopped(tasks[0]) != StopReason::kNone);
  CheckSums(d);
  Turn(d, {&w});
  const auto others = w.Others();
  CHECK_EQ(others.size(), 1u);
  CHECK_EQ(others[0].first, kCancel);
  CHECK(w.Done(tasks[0].sequence, DoneStatus::kCancelled) == Fault::kNone);
  Turn(d, {&w});
  CHECK_EQ(Payloads(w.Tasks()), "2 ");
  CHECK_EQ(d.counts().cancelled, 2u);
  CheckSums(d);
}

TEST(DropCancelsWhatWaitsWhatReturnsAndWhatArrives) {
  DispatcherOptions options;
  options.prefetch = 2;
  Dispatcher d(options);
  FakeWorker w(d, 1);
  for (std::uint32_t i = 0; i < 5; ++i) Submit(d, i % 2, i, std::to_string(i));
  Turn(d, {&w});
  const std::vector<Task> tasks = w.Tasks();
  CHECK(w.Claim(tasks[0]));
  d.Drop();
  CheckSums(d);
  CHECK_EQ(d.counts().cancelled, 4u);
  CHECK_EQ(d.counts().sent, 1u);
  CHECK(!w.Claim(tasks[1]));
  CHECK(w.Schedule(0, 1, "child") == Fault::kNone);
  CHECK_EQ(d.counts().cancelled, 5u);
  CHECK(d.Disconnect(w.connection()));
  CHECK_EQ(d.counts().held, 1u);
  std::uint32_t lost = kNoSlot;
  for (const Read& read : ReadAll(d.completions())) {
    if (read.record.kind == RecordKind::kLost) lost = read.record.slot;
  }
  CHECK(SettleLost(d, lost, true) == LostOutcome::kCancelled);
  CHECK_EQ(d.counts().Left(), 0u);
  CheckSums(d);
}

TEST(AClosingWorkerGetsNothingMoreAndItsUnclaimedTasksReturn) {
  DispatcherOptions options;
  options.prefetch = 2;
  Dispatcher d(options);
  FakeWorker w(d, 1);
  for (std::uint32_t i = 0; i < 3; ++i) Submit(d, 0, i, std::to_string(i));
  Turn(d, {&w});
  const std::vector<Task> tasks = w.Tasks();
  CHECK(w.Claim(tasks[0]));
  d.SendClose(w.connection(), false);
  CHECK_EQ(d.counts().waiting, 2u);
  Turn(d, {&w});
  CHECK(w.Tasks().empty());
  CHECK_EQ(w.Others().size(), 1u);
  CHECK(!w.Claim(tasks[1]));
}

TEST(AWorkerThatIsAskedToCloseWhileItStartsMayStillSayHello) {
  Dispatcher d(Strict());
  FakeWorker w(d, 1, false);
  d.SendClose(w.connection(), true);
  w.Greet();
  Submit(d, 0, 0, "x");
  Turn(d, {&w});
  CHECK(w.Tasks().empty());
}

TEST(MessagesAreAcknowledgedUpToTheMarkAndTheRestWhenTheyAreRead) {
  DispatcherOptions options;
  options.inbox_mark = 2;
  Dispatcher d(options);
  FakeWorker w(d, 1);
  const auto accepted = [&] {
    std::uint32_t last = 0;
    for (const auto& [type, body] : w.Others()) {
      CHECK_EQ(type, kAccepted);
      last = Load<std::uint32_t>(reinterpret_cast<const std::uint8_t*>(body.data()));
    }
    return last;
  };
  CHECK(w.Message("a") == Fault::kNone);
  CHECK(w.Message("b") == Fault::kNone);
  Turn(d, {&w});
  CHECK_EQ(accepted(), 2u);
  CHECK(w.Message("c") == Fault::kNone);
  Turn(d, {&w});
  CHECK_EQ(accepted(), 0u);
  const std::vector<Read> inbox = ReadAll(d.inbox());
  CHECK_EQ(inbox.size(), 3u);
  CHECK_EQ(inbox[2].payload, "c");
  Turn(d, {&w});
  CHECK_EQ(accepted(), 3u);
}

TEST(BadFramesAreFaultsThatTouchNothing) {
  Dispatcher d(Strict());
  FakeWorker w(d, 1);
  Submit(d, 0, 0, "x");
  Turn(d, {&w});
  const std::vector<Task> tasks = w.Tasks();
  const auto send = [&](std::uint8_t type, std::string_view body) {
    Bytes out;
    std::copy(body.begin(), body.end(), AppendFrame(out, type, body.size()));
    return d.Receive(w.connection(), out.span());
  };
  CHECK(w.Schedule(2, 1, "no such level") == Fault::kBadPriority);
  FakeWorker b(d, 2);
  CHECK(b.Schedule(127, 1, "no such level") == Fault::kBadPriority);
  CHECK(send('?', "") == Fault::kUnknownType);
  FakeWorker c(d, 3);
  CHECK(c.Done(12345) == Fault::kBadSequence);
  FakeWorker e(d, 4, false);
  CHECK(e.Done(1) == Fault::kOutOfPlace);
  FakeWorker f(d, 5);
  const std::uint8_t huge[] = {'m', 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  CHECK(d.Receive(f.connection(), huge) == Fault::kTooLarge);
  CHECK_EQ(d.counts().accepted, 1u);
  CHECK_EQ(d.counts().sent, 1u);
  CheckSums(d);
}

TEST(ATaskThatWasSentAheadIsTakenBackAndDroppedWhenItIsCancelled) {
  DispatcherOptions options;
  options.prefetch = 3;
  Dispatcher d(options);
  FakeWorker w(d, 1);
  for (std::uint32_t i = 0; i < 3; ++i) Submit(d, 0, i, std::to_string(i));
  Turn(d, {&w});
  const std::vector<Task> tasks = w.Tasks();
  CHECK(w.Claim(tasks[0]));
  CHECK(d.Cancel(0) == CancelOutcome::kAsked);
  CHECK(d.Cancel(2) == CancelOutcome::kDropped);
  // The running one is still asked to stop, whatever was cancelled after it.
  CHECK(w.Stopped(tasks[0]) != StopReason::kNone);
  CHECK(!w.Claim(tasks[1]));
  CHECK(!w.Claim(tasks[2]));
  Turn(d, {&w});
  // Nothing goes to a worker that may have to be killed for the task that it is to stop.
  CHECK_EQ(Payloads(w.Tasks()), "");
  CheckSums(d);
  // Its worker dies while it is stopping: that is a cancelled task, not a lost one.
  CHECK(d.Disconnect(w.connection()));
  std::uint32_t lost = kNoSlot;
  for (const Read& read : ReadAll(d.completions())) {
    if (read.record.kind == RecordKind::kLost) lost = read.record.slot;
  }
  CHECK(SettleLost(d, lost, false) == LostOutcome::kCancelled);
  CHECK_EQ(d.counts().waiting, 1u);
  CheckSums(d);
}

TEST(WhatReturnsFromSeveralWorkersKeepsItsOrder) {
  DispatcherOptions options;
  options.prefetch = 4;
  Dispatcher d(options);
  FakeWorker a(d, 1), b(d, 2);
  for (std::uint32_t i = 0; i < 8; ++i) Submit(d, 0, i, std::to_string(i));
  Turn(d, {&a, &b});
  CHECK(a.Claim(a.Tasks()[0]));
  CHECK(b.Claim(b.Tasks()[0]));
  FakeWorker c(d, 3);
  CHECK(d.WatchStuck());
  d.RecallStuck();
  std::string order;
  for (int i = 0; i < 6; ++i) {
    Turn(d, {&c});
    for (const Task& task : c.Tasks()) {
      order += task.payload + " ";
      CHECK(c.Claim(task));
      CHECK(c.Done(task.sequence) == Fault::kNone);
    }
  }
  CHECK(std::is_sorted(order.begin(), order.end(), [](char x, char y) { return x != ' ' && y != ' ' && x < y; }));
  CHECK_EQ(order.size(), 12u);
}

TEST(ASingleTaskAtAStoppedWorkerGoesToAnIdleOneAndTheStoppedOneGetsNothingBeforeItSpeaks) {
  Dispatcher d(Strict());
  FakeWorker stopped(d, 1);
  Submit(d, 0, 0, "x");
  Turn(d, {&stopped});
  const std::vector<Task> tasks = stopped.Tasks();
  CHECK_EQ(tasks.size(), 1u);
  // Alone it keeps its task: there is nobody else.
  CHECK(!d.WatchStuck());
  FakeWorker idle(d, 2);
  CHECK(d.WatchStuck());
  d.RecallStuck();
  Turn(d, {&stopped, &idle});
  CHECK(stopped.Tasks().empty());
  CHECK_EQ(idle.Tasks().size(), 1u);
  Submit(d, 0, 1, "y");
  Turn(d, {&stopped, &idle});
  CHECK(stopped.Tasks().empty());
  CHECK(!stopped.Claim(tasks[0]));
  CHECK(stopped.Next() == Fault::kNone);
  Turn(d, {&stopped, &idle});
  CHECK_EQ(Payloads(stopped.Tasks()), "y ");
}

TEST(CancelledTasksLeaveTheQueueWithoutWaitingForTheirTurn) {
  Dispatcher d(Strict(3));
  FakeWorker w(d, 1);
  Submit(d, 0, 0, "busy");
  Turn(d, {&w});
  CHECK_EQ(w.Tasks().size(), 1u);
  Submit(d, 2, 1, "first");
  Submit(d, 2, 2, "last");
  for (int round = 0; round < 100; ++round) {
    for (std::uint32_t ticket = 10; ticket < 110; ++ticket) Submit(d, round % 3, ticket, "x");
    for (std::uint32_t ticket = 10; ticket < 110; ++ticket) CHECK(d.Cancel(ticket) == CancelOutcome::kDropped);
    d.Dispatch();
    CHECK(d.tombstones() < 2'000u);
    CheckSums(d);
  }
  CHECK_EQ(d.counts().waiting, 2u);
  CHECK(w.Done(1) == Fault::kNone);
  Turn(d, {&w});
  CHECK_EQ(Payloads(w.Tasks()), "first ");
  CHECK(w.Done(2) == Fault::kNone);
  Turn(d, {&w});
  CHECK_EQ(Payloads(w.Tasks()), "last ");
}

TEST(NothingOfADiscardedInboxHoldsSendersUp) {
  DispatcherOptions options;
  options.prefetch = 100;
  options.inbox_mark = 2;
  Dispatcher d(options);
  d.DiscardMessages();
  FakeWorker w(d, 1);
  for (std::uint32_t i = 0; i < 10; ++i) Submit(d, 0, i, "x", kFlagInboxErrors);
  Turn(d, {&w});
  for (const Task& task : w.Tasks()) {
    CHECK(w.Claim(task));
    CHECK(w.Done(task.sequence, DoneStatus::kError) == Fault::kNone);
  }
  CHECK_EQ(d.inbox().count(), 0u);
  CHECK(w.Message("m") == Fault::kNone);
  Turn(d, {&w});
  CHECK_EQ(w.Others().size(), 1u);
}

TEST(ManyTicketsAndSlotsAreUsedAgain) {
  DispatcherOptions options;
  options.prefetch = 64;
  Dispatcher d(options);
  FakeWorker w(d, 1);
  for (int round = 0; round < 50; ++round) {
    for (std::uint32_t i = 0; i < 200; ++i) Submit(d, i % 2, i, "payload");
    if (round % 3 == 0) {
      for (std::uint32_t i = 0; i < 200; i += 7) d.Cancel(i);
    }
    while (d.counts().Left() > 0) {
      Turn(d, {&w});
      for (const Task& task : w.Tasks()) {
        CHECK(w.Claim(task));
        CHECK(w.Done(task.sequence) == Fault::kNone);
      }
      CheckSums(d);
    }
    ReadAll(d.completions());
  }
  CHECK_EQ(d.counts().accepted, 10'000u);
}

TEST(ARecordLargerThanTheBufferWaitsForALargerOne) {
  Dispatcher d(Strict());
  FakeWorker w(d, 1);
  Submit(d, 0, 0, "x");
  Turn(d, {&w});
  const std::vector<Task> tasks = w.Tasks();
  CHECK(w.Claim(tasks[0]));
  ReadAll(d.completions());
  const std::string large(200'000, 'r');
  CHECK(w.Done(tasks[0].sequence, DoneStatus::kValue, 1, large) == Fault::kNone);
  std::vector<std::uint8_t> small(1000);
  CHECK_EQ(d.completions().Drain(small), 0u);
  CHECK_EQ(d.completions().NextSize(), sizeof(Record) + large.size());
  const std::vector<Read> records = ReadAll(d.completions());
  CHECK_EQ(records.size(), 1u);
  CHECK(records[0].payload == large);
}

}  // namespace

int main() { return bosun::test::RunAll(); }
