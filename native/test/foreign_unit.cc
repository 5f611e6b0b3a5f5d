// The reference dialogue with peers on a listening socket, and every reason to refuse one.

#include <cstdint>
#include <string>
#include <vector>

#include "dispatch_harness.h"

namespace {

using namespace bosun;
using namespace bosun::test;

constexpr std::uint64_t kStart = 1'000'000'000;

// The frames that arrived at the peer since the last call, other than tasks: "m s ".
std::string Frames(FakePeer& peer) {
  std::string all;
  for (const auto& [type, body] : peer.Others()) {
    CHECK(body.empty());
    all += std::string(1, static_cast<char>(type)) + " ";
  }
  return all;
}

TEST(NextAndDoneAreAnsweredByTheMostUrgentTaskOrByNone) {
  Dispatcher d({.levels = 3});
  d.set_now(kStart);
  FakePeer p(d, 1);
  CHECK(p.Next() == Fault::kNone);
  Turn(d, {&p});
  CHECK_EQ(p.Answers()[0], "");
  Submit(d, 2, 0, "last");
  Submit(d, 0, 1, "first");
  // It gets nothing that it has not asked for.
  Turn(d, {&p});
  CHECK(p.Answers().empty());
  CHECK(p.Next() == Fault::kNone);
  Turn(d, {&p});
  d.set_now(kStart + 300);
  for (int i = 0; i < 2; ++i) {
    CHECK(p.Done() == Fault::kNone);
    Turn(d, {&p});
  }
  const std::vector<std::string> answers = p.Answers();
  CHECK_EQ(answers.size(), 3u);
  CHECK_EQ(answers[0] + " " + answers[1] + " " + answers[2], "first last ");
  const std::vector<Read> records = ReadAll(d.completions());
  CHECK_EQ(KindsOf(records), "value value ");
  CHECK_EQ(records[0].record.worker, 1u);
  CHECK_EQ(records[0].record.run_us, 300u);
  CHECK_EQ(records[1].record.run_us, 0u);
  CHECK_EQ(records[0].payload, "");
  CHECK_EQ(d.counts().done, 2u);
  CheckSums(d);
}

TEST(WhatItSchedulesIsMarkedAsForeign) {
  Dispatcher d({});
  FakePeer p(d, 7);
  d.set_report_all(true);
  d.set_foreign_policy({.max_retries = 1});
  CHECK(p.Schedule(1, "theirs") == Fault::kNone);
  Turn(d, {&p});
  CHECK(p.Schedule(0, "more") == Fault::kNone);
  FakeWorker w(d, 2);
  Turn(d, {&p, &w});
  CHECK_EQ(Frames(p), "s s ");
  const std::vector<Task> tasks = w.Tasks();
  CHECK_EQ(tasks[0].payload, "more");
  CHECK_EQ(tasks[0].flags, kTaskForeign);
  CHECK_EQ(tasks[0].id, (7ull << 32) + 2);
  CHECK(w.Claim(tasks[0]));
  CHECK(w.Done(tasks[0].sequence, DoneStatus::kError, 1, "why") == Fault::kNone);
  for (RecordQueue* records : {&d.completions(), &d.inbox()}) {
    const std::vector<Read> read = ReadAll(*records);
    const Record& record = read.back().record;
    CHECK_EQ(record.kind, RecordKind::kError);
    CHECK_EQ(record.level, 0x80);
    CHECK_EQ(record.ticket, kNoTicket);
  }
  Submit(d, 0, 0, "ours");
  Turn(d, {&w});
  CHECK_EQ(w.Tasks()[0].flags, 0u);
  CheckSums(d);
}

TEST(AMessageIsAnsweredWhenItIsAcceptedAndNothingElseBeforeThat) {
  Dispatcher d({.inbox_mark = 1});
  FakePeer p(d, 3);
  CHECK(p.Message("a") == Fault::kNone);
  Turn(d, {&p});
  CHECK_EQ(Frames(p), "m ");
  CHECK(p.Message("b") == Fault::kNone);
  Turn(d, {&p});
  CHECK_EQ(Frames(p), "");
  CHECK(p.Message("c") == Fault::kOutOfPlace);
  CHECK(p.Next() == Fault::kOutOfPlace);
  CHECK(p.Schedule(0, "x") == Fault::kOutOfPlace);
  const std::vector<Read> inbox = ReadAll(d.inbox());
  CHECK_EQ(KindsOf(inbox), "foreignMessage foreignMessage ");
  CHECK_EQ(inbox[1].payload, "b");
  CHECK_EQ(inbox[1].record.worker, 3u);
  Turn(d, {&p});
  CHECK_EQ(Frames(p), "m ");
  CHECK(p.Next() == Fault::kNone);
  CHECK_EQ(d.counts().messages, 2u);
  CheckSums(d);
}

TEST(NothingOfWhatIsRefusedIsCounted) {
  struct Case {
    std::uint8_t type;
    const char* body;
    Fault fault;
  };
  const Case cases[] = {
      {kNext, "x", Fault::kMalformed},
      {kDone, "x", Fault::kMalformed},
      {kDone, "", Fault::kOutOfPlace},
      {kMessage, "", Fault::kMalformed},
      {kHello, "", Fault::kOutOfPlace},
      {kHello, "12345678", Fault::kOutOfPlace},
      {kStartFailed, "", Fault::kUnknownType},
      {'?', "", Fault::kUnknownType},
      {kSchedule, "", Fault::kMalformed},
      {kSchedule + 1, "", Fault::kMalformed},
      {kSchedule + 2, "x", Fault::kBadPriority},
      {0xFF, "x", Fault::kBadPriority},
      {0, "", Fault::kUnknownType},
  };
  for (const Case& one : cases) {
    Dispatcher d({});
    FakePeer p(d, 1);
    CHECK_EQ(p.Say(one.type, one.body), one.fault);
    d.Dispatch();
    CHECK_EQ(d.counts().accepted, 0u);
    CHECK_EQ(d.counts().messages, 0u);
    CHECK_EQ(d.completions().count(), 0u);
    CheckSums(d);
  }
}

TEST(TwoTasksAtOnceAreRefused) {
  Dispatcher d({});
  FakePeer p(d, 1);
  for (std::uint32_t i = 0; i < 2; ++i) Submit(d, 0, i, "x");
  CHECK(p.Next() == Fault::kNone);
  Turn(d, {&p});
  CHECK(p.Next() == Fault::kOutOfPlace);
  CHECK_EQ(d.counts().sent, 1u);
  CHECK_EQ(d.counts().waiting, 1u);
  CheckSums(d);
}

TEST(OneThatDoesNotWaitForItsAnswerIsRefusedAndItsTaskWasNeverSent) {
  for (const bool cancelled : {false, true}) {
    Dispatcher d({});
    FakePeer p(d, 1);
    CHECK(p.Next() == Fault::kNone);
    Turn(d, {&p});
    Submit(d, 0, 0, "x");
    CHECK(p.Next() == Fault::kNone);
    if (cancelled) CHECK(d.Cancel(0) == CancelOutcome::kAsked);
    CHECK(p.Done() == Fault::kOutOfPlace);
    CHECK_EQ(d.counts().waiting, cancelled ? 0u : 1u);
    CHECK_EQ(d.counts().cancelled, cancelled ? 1u : 0u);
    CHECK_EQ(d.Find(p.connection())->stopping, 0u);
    CheckSums(d);
    FakePeer q(d, 2);
    CHECK(q.Message("m") == Fault::kNone);
    d.Dispatch();
    CHECK(q.Next() == Fault::kOutOfPlace);
    CheckSums(d);
  }
}

TEST(AFrameThatIsTooLargeOrCutIsRefusedOrWaitedFor) {
  Dispatcher d({.max_frame_bytes = 100});
  FakePeer p(d, 1);
  const std::uint8_t huge[] = {kMessage, 101, 0, 0, 0, 0, 0, 0, 0};
  CHECK(d.Receive(p.connection(), huge) == Fault::kTooLarge);
  FakePeer q(d, 2);
  const std::uint8_t cut[] = {kMessage, 2, 0, 0, 0, 0, 0, 0, 0, 'a'};
  CHECK(d.Receive(q.connection(), cut) == Fault::kNone);
  CHECK_EQ(d.counts().messages, 0u);
  CHECK(d.Receive(q.connection(), Span("b")) == Fault::kNone);
  CHECK_EQ(ReadAll(d.inbox())[0].payload, "ab");
}

TEST(OneThatSubmitsToAFullQueueWaitsForItsAnswer) {
  Dispatcher d({.prefetch = 1, .max_queue = 1});
  FakePeer first(d, 1), second(d, 2), busy(d, 3);
  CHECK(first.Schedule(0, "a") == Fault::kNone);
  Turn(d, {&first, &second});
  CHECK_EQ(Frames(first), "s ");
  CHECK(first.Schedule(0, "b") == Fault::kNone);
  CHECK(second.Schedule(0, "c") == Fault::kNone);
  Turn(d, {&first, &second});
  CHECK_EQ(Frames(first) + Frames(second), "");
  CHECK(first.Next() == Fault::kOutOfPlace);
  // One that runs a task is answered at once: it could be the one that everybody waits for.
  CHECK(busy.Next() == Fault::kNone);
  Turn(d, {&first, &second, &busy});
  CHECK_EQ(d.counts().waiting, 2u);
  CHECK(busy.Schedule(1, "d") == Fault::kNone);
  Turn(d, {&first, &second, &busy});
  CHECK_EQ(Frames(busy), "s ");
  CHECK_EQ(Frames(first) + Frames(second), "");
  // One that went away is owed nothing.
  CHECK(d.Disconnect(second.connection()));
  for (int i = 0; i < 2; ++i) {
    CHECK(busy.Done() == Fault::kNone);
    Turn(d, {&first, &busy});
  }
  CHECK_EQ(Frames(first), "s ");
  CHECK(first.Schedule(0, "e") == Fault::kNone);
  CheckSums(d);
}

TEST(DropAnswersWhoWaits) {
  Dispatcher d({.max_queue = 0});
  FakePeer p(d, 1);
  CHECK(p.Schedule(0, "a") == Fault::kNone);
  Turn(d, {&p});
  CHECK_EQ(Frames(p), "");
  d.Drop();
  Turn(d, {&p});
  CHECK_EQ(Frames(p), "s ");
  CHECK(p.Schedule(0, "b") == Fault::kNone);
  Turn(d, {&p});
  CHECK_EQ(Frames(p), "s ");
  CHECK(p.Next() == Fault::kNone);
  Turn(d, {&p});
  CHECK_EQ(p.Answers()[0], "");
  CHECK_EQ(d.counts().cancelled, 2u);
  CheckSums(d);
}

TEST(TheRequestToCloseIsTheAnswer) {
  Dispatcher d({});
  FakePeer p(d, 1);
  Submit(d, 0, 0, "a");
  Submit(d, 0, 1, "b");
  CHECK(p.Next() == Fault::kNone);
  d.SendClose(p.connection(), true);
  Turn(d, {&p});
  CHECK_EQ(Frames(p), "c ");
  CHECK_EQ(p.Answers()[0], "a");
  CHECK(p.Done() == Fault::kNone);
  CHECK(p.Next() == Fault::kNone);
  Turn(d, {&p});
  CHECK(p.Answers().empty());
  CHECK_EQ(d.counts().waiting, 1u);
  CHECK_EQ(Said(d), "value ");
}

TEST(OneThatGoesAwayLosesItsTaskAsAWorkerDoes) {
  Dispatcher d({});
  FakePeer p(d, 9);
  Submit(d, 0, 0, "x", kFlagRetryLost, {.max_retries = 1});
  CHECK(p.Next() == Fault::kNone);
  CHECK(d.Disconnect(p.connection()));
  const std::vector<Read> records = ReadAll(d.completions());
  CHECK_EQ(KindsOf(records), "lost ");
  CHECK_EQ(records[0].record.worker, 9u);
  CHECK_EQ(SettleLost(d, records[0].record.slot, false), LostOutcome::kRetry);
  CHECK(d.Retry(records[0].record.slot, 0));
  CHECK_EQ(d.counts().waiting, 1u);
  CheckSums(d);
}

TEST(OneThatTakesTooLongIsReportedForItKnowsNoRequestToStop) {
  Dispatcher d({.grace_us = 1000});
  d.set_now(kStart);
  FakePeer p(d, 9);
  Submit(d, 0, 0, "x", 0, {.timeout_ms = 10});
  CHECK(p.Next() == Fault::kNone);
  Turn(d, {&p});
  p.Answers();
  d.set_now(kStart + 10'000);
  Turn(d, {&p});
  CHECK_EQ(Frames(p), "");
  CHECK_EQ(Said(d), "");
  d.set_now(kStart + 11'000);
  Turn(d, {&p});
  const std::vector<Read> records = ReadAll(d.completions());
  CHECK_EQ(KindsOf(records), "stopping unresponsive ");
  CHECK_EQ(records[1].record.worker, 9u);
  CHECK(p.Done() == Fault::kNone);
  CHECK_EQ(Said(d), "timeout ");
  CHECK_EQ(d.Find(p.connection())->stopping, 0u);
  CheckSums(d);
}

TEST(MessagesToADiscardedInboxAreAnswered) {
  Dispatcher d({.inbox_mark = 0});
  d.DiscardMessages();
  FakePeer p(d, 1);
  CHECK(p.Message("x") == Fault::kNone);
  Turn(d, {&p});
  CHECK_EQ(Frames(p), "m ");
  CHECK_EQ(d.counts().discarded, 1u);
}

}  // namespace

int main() { return bosun::test::RunAll(); }
