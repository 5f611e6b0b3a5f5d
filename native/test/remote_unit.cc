// Workers on other hosts: no page, nothing sent ahead, and what they say is marked as theirs.

#include <cstdint>
#include <string>
#include <vector>

#include "dispatch_harness.h"
#include "process/host_page.h"

namespace {

using namespace bosun;
using namespace bosun::test;

constexpr const char* kClone = "\xff-clone";
constexpr const char* kPlain = "\x01-plain";

bool IsTheirs(const Record& record) { return (static_cast<std::uint8_t>(record.kind) & kForeignPayload) != 0; }
RecordKind KindOf(const Record& record) {
  return static_cast<RecordKind>(static_cast<std::uint8_t>(record.kind) & ~kForeignPayload);
}

TEST(NothingIsSentAheadHoweverShortTheTasksAre) {
  for (const std::uint32_t prefetch : {0u, 16u}) {
    Dispatcher d({.prefetch = prefetch, .concurrency = 2});
    FakeWorker w(d, 1, FakeWorker::kRemote);
    for (std::uint32_t i = 0; i < 20; ++i) Submit(d, 0, i, "t");
    for (std::uint32_t i = 0; i < 20; i += 2) {
      Turn(d, {&w});
      const std::vector<Task> tasks = w.Tasks();
      CHECK_EQ(tasks.size(), 2u);
      for (const Task& task : tasks) {
        CHECK_EQ(task.flags, kTaskForeign);
        CHECK(w.Done(task.sequence, DoneStatus::kValue, 1) == Fault::kNone);
      }
    }
    CHECK_EQ(d.counts().done, 20u);
    CheckSums(d);
  }
}

TEST(WhatItSaysIsMarkedAsItsOwn) {
  Dispatcher d({});
  d.set_report_all(true);
  FakeWorker w(d, 3, FakeWorker::kRemote);
  Submit(d, 0, 0, "value");
  Submit(d, 0, 1, "error", kFlagInboxErrors);
  Submit(d, 0, 2, "again", kFlagRetryError, {.max_retries = 1});
  for (int i = 0; i < 3; ++i) {
    Turn(d, {&w});
    const std::vector<Task> tasks = w.Tasks();
    CHECK_EQ(tasks.size(), 1u);
    CHECK(w.Done(tasks[0].sequence, i == 0 ? DoneStatus::kValue : DoneStatus::kError, 1, "said") == Fault::kNone);
  }
  CHECK(w.Message("m") == Fault::kNone);
  const std::vector<Read> said = ReadAll(d.completions());
  CHECK_EQ(said.size(), 4u);
  const RecordKind kinds[] = {RecordKind::kReady, RecordKind::kValue, RecordKind::kError, RecordKind::kRetry};
  for (std::size_t i = 0; i < said.size(); ++i) {
    CHECK(KindOf(said[i].record) == kinds[i]);
    CHECK_EQ(IsTheirs(said[i].record), i > 0);
  }
  CHECK_EQ(said[0].payload.size(), kHelloFields);
  const std::vector<Read> inbox = ReadAll(d.inbox());
  CHECK_EQ(inbox.size(), 2u);
  CHECK(IsTheirs(inbox[0].record));
  CHECK(inbox[1].record.kind == RecordKind::kForeignMessage);
}

TEST(LongResultsAreMarkedToo) {
  Dispatcher d({});
  FakeWorker w(d, 3, FakeWorker::kRemote);
  Submit(d, 0, 0, "t");
  Turn(d, {&w});
  Bytes out;
  std::uint8_t* at = AppendFrame(out, kDone, kDoneFields + 100'000);
  Store(Store(Store(at, w.Tasks()[0].sequence), DoneStatus::kValue), std::uint32_t{1});
  // Cut, so that the memory of the body is handed over.
  for (const ByteSpan part : {out.span().first(1'000), out.span().subspan(1'000)}) {
    CHECK(d.Receive(w.connection(), part) == Fault::kNone);
  }
  CHECK(d.completions().TakeAttached().memory.size() >= 100'000);
  const std::vector<Read> said = ReadAll(d.completions());
  CHECK_EQ(static_cast<int>(said[1].record.kind), static_cast<int>(RecordKind::kValue) | 0x80 | kForeignPayload);
}

TEST(WhatItSchedulesIsReadWithCareEverywhere) {
  Dispatcher d({});
  FakeWorker remote(d, 1, FakeWorker::kRemote);
  CHECK(remote.Schedule(1, 1, "child") == Fault::kNone);
  d.SendClose(remote.connection(), false);
  FakeWorker local(d, 2);
  Turn(d, {&remote, &local});
  CHECK_EQ(local.Tasks()[0].flags, kTaskForeign);
}

TEST(OtherPayloadsWaitForALocalWorker) {
  Dispatcher d({});
  d.set_expects_local(true);
  FakeWorker remote(d, 1, FakeWorker::kRemote);
  Submit(d, 0, 0, kClone);
  Submit(d, 0, 1, kPlain);
  Turn(d, {&remote});
  CHECK(remote.Tasks().empty());
  CHECK_EQ(d.counts().fresh, 2u);
  CHECK_EQ(d.counts().waiting, 2u);
  FakeWorker local(d, 2);
  Turn(d, {&remote, &local});
  CHECK_EQ(Payloads(local.Tasks()), std::string(kClone) + " ");
  CHECK_EQ(Payloads(remote.Tasks()), std::string(kPlain) + " ");
  CHECK_EQ(d.counts().fresh, 0u);
  CheckSums(d);
}

TEST(AnIdleWorkerOfThisHostComesFirst) {
  Dispatcher d({});
  FakeWorker local(d, 1);
  FakeWorker remote(d, 2, FakeWorker::kRemote);
  Submit(d, 0, 0, kPlain);
  Turn(d, {&remote, &local});
  CHECK_EQ(local.Tasks().size(), 1u);
  CHECK(remote.Tasks().empty());
}

TEST(OtherPayloadsAreTheirsWhenNobodyElseIsThere) {
  Dispatcher d({});
  FakeWorker remote(d, 1, FakeWorker::kRemote);
  FakePeer peer(d, 5);
  Submit(d, 0, 0, kClone);
  {
    FakeWorker local(d, 2);
    d.SendClose(local.connection(), false);
  }
  Turn(d, {&remote, &peer});
  CHECK_EQ(Payloads(remote.Tasks()), std::string(kClone) + " ");
}

TEST(AWaitingOneCanBeCancelledWhateverWasTriedWithIt) {
  Dispatcher d({});
  d.set_expects_local(true);
  FakeWorker remote(d, 1, FakeWorker::kRemote);
  Submit(d, 0, 0, kClone);
  Turn(d, {&remote});
  Turn(d, {&remote});
  CHECK(d.Cancel(0) == CancelOutcome::kDropped);
  CHECK_EQ(d.counts().fresh, 0u);
  Turn(d, {&remote});
  CheckSums(d);
}

TEST(ACutLinkIsNoCrashOfTheTask) {
  for (const bool says : {false, true}) {
    Dispatcher d({});
    Submit(d, 0, 0, "t", kFlagRetryLost, {.max_crashes = 1, .max_retries = 5});
    FakeWorker w(d, 1, FakeWorker::kRemote);
    Turn(d, {&w});
    CHECK_EQ(w.Tasks().size(), 1u);
    if (says) CHECK(w.Say(kExit, "how") == Fault::kNone);
    CHECK(d.Disconnect(w.connection()));
    const std::vector<Read> records = ReadAll(d.completions());
    CHECK_EQ(records.size(), says ? 3u : 2u);
    if (says) {
      CHECK(KindOf(records[1].record) == RecordKind::kWorkerExit);
      CHECK_EQ(records[1].payload, "how");
      CHECK_EQ(records[1].record.worker, 1u);
    }
    CHECK(records.back().record.kind == RecordKind::kLost);
    const LostOutcome outcome = SettleLost(d, records.back().record.slot, false);
    CHECK(outcome == (says ? LostOutcome::kPoison : LostOutcome::kRetry));
  }
}

TEST(OneThatWantsToLeaveGetsNothingMore) {
  Dispatcher d({});
  FakeWorker w(d, 1, FakeWorker::kRemote);
  Submit(d, 0, 0, "first");
  Submit(d, 0, 1, "second");
  Turn(d, {&w});
  CHECK(w.Say(kClose) == Fault::kNone);
  CHECK(w.Say(kClose) == Fault::kNone);
  const std::vector<Task> tasks = w.Tasks();
  CHECK(w.Done(tasks[0].sequence) == Fault::kNone);
  Turn(d, {&w});
  CHECK(w.Tasks().empty());
  const auto others = w.Others();
  CHECK_EQ(others.size(), 1u);
  CHECK_EQ(others[0].first, kClose);
  CHECK_EQ(d.counts().waiting, 1u);
}

TEST(WhatIsOutOfPlaceIsRefused) {
  const auto fresh = [](Dispatcher& d, bool greet) {
    return FakeWorker(d, 1, FakeWorker::kRemote, greet).connection();
  };
  struct Case {
    bool greet;
    std::uint8_t type;
    std::string body;
    Fault fault;
  };
  const Case cases[] = {
      {false, kHello, "short", Fault::kMalformed},
      {false, kHello, std::string("\x02\0\0\0\0\0\0\0", 8), Fault::kMalformed},
      {true, kHello, std::string("\x01\0\0\0\0\0\0\0", 8), Fault::kOutOfPlace},
      {false, kDone, std::string(9, '\0'), Fault::kOutOfPlace},
      {true, kDone, std::string(9, '\0'), Fault::kBadSequence},
      {true, kClose, "x", Fault::kMalformed},
      {true, '?', "", Fault::kUnknownType},
      {true, kAwait, "", Fault::kMalformed},
      {true, kProgress, std::string(4, '\0'), Fault::kBadSequence},
      {true, 0x82, "x", Fault::kBadPriority},
  };
  for (const Case& c : cases) {
    Dispatcher d({});
    const std::uint32_t connection = fresh(d, c.greet);
    Bytes out;
    std::copy(c.body.begin(), c.body.end(), AppendFrame(out, c.type, c.body.size()));
    CHECK(d.Receive(connection, out.span()) == c.fault);
  }
  // What is a remote worker's own is nobody else's.
  Dispatcher d({});
  FakeWorker local(d, 1);
  CHECK(local.Say(kExit) == Fault::kUnknownType);
  CHECK(local.Say(kClose) == Fault::kUnknownType);
  FakeWorker twice(d, 2, FakeWorker::kRemote);
  CHECK(twice.Say(kExit) == Fault::kNone);
  CHECK(twice.Say(kExit) == Fault::kOutOfPlace);
}

TEST(ItsHostLetsItBeginAndTellsItToStop) {
  UniqueFd file = AnonymousFile(sizeof(StatusPage));
  const SharedPage worker = MapPage(file.get());
  HostPage host(MapPage(file.get()));
  for (std::uint32_t sequence = 1; sequence <= 200'000; ++sequence) {
    host.Sent(sequence);
    CHECK(worker->claim.Claim(sequence));
  }
  worker->lanes[1].Begin(200'000, 5);
  host.Stop(200'000, 2, StopReason::kCancelled);
  CHECK(worker->lanes[1].Stopped(200'000) == StopReason::kCancelled);
  CHECK(worker->lanes[0].Stopped(200'000) == StopReason::kNone);
  // One that has yet to begin finds it in the lane that is free.
  host.Stop(200'001, 2, StopReason::kTimeout);
  CHECK(worker->lanes[0].Stopped(200'001) == StopReason::kTimeout);
  CHECK(worker->lanes[1].Stopped(200'000) == StopReason::kCancelled);
  host.Stop(200'002, 5'000, StopReason::kTimeout);
  CHECK_EQ(worker->closing.load(), 0u);
  host.Close();
  CHECK_EQ(worker->closing.load(), 1u);
}

}  // namespace

int main() { return bosun::test::RunAll(); }
