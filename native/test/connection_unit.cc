// Connections: handles, limits, the hello, and every reason to refuse what a worker says.

#include <cstdint>
#include <string>
#include <vector>

#include "dispatch_harness.h"

namespace {

using namespace bosun;
using namespace bosun::test;

constexpr std::uint32_t kMostConnections = 4096;

TEST(ThereAreNoMoreConnectionsThanHandles) {
  Dispatcher d({});
  std::vector<std::uint32_t> handles;
  for (std::uint32_t i = 0; i < kMostConnections; ++i) {
    const std::uint32_t handle = i % 2 == 0 ? d.Connect(i, nullptr) : d.ConnectForeign(i);
    CHECK(handle != 0);
    handles.push_back(handle);
  }
  CHECK_EQ(d.Connect(1, nullptr), 0u);
  CHECK_EQ(d.ConnectForeign(1), 0u);
  CHECK(d.Disconnect(handles[1234]));
  const std::uint32_t again = d.Connect(1, nullptr);
  CHECK(again != 0 && again != handles[1234]);
  CHECK(d.Find(handles[1234]) == nullptr);
  CHECK_EQ(d.Connect(1, nullptr), 0u);
}

TEST(AHandleIsNotUsedAgainBeforeAMillionOthers) {
  Dispatcher d({});
  const std::uint32_t first = d.Connect(1, nullptr);
  CHECK(d.Disconnect(first));
  std::uint32_t others = 0;
  for (std::uint32_t handle = d.Connect(1, nullptr); handle != first; handle = d.Connect(1, nullptr)) {
    CHECK(handle != 0);
    CHECK(d.Disconnect(handle));
    ++others;
  }
  CHECK_EQ(others, (1u << 20) - 2);
}

TEST(AStaleHandleDoesNothing) {
  Dispatcher d({});
  FakeWorker w(d, 1);
  for (const std::uint32_t handle : {0u, 1u, 4095u, w.connection() + 1, w.connection() + (1u << 12), ~0u}) {
    CHECK(d.Find(handle) == nullptr);
    CHECK(d.Receive(handle, Span("x")) == Fault::kStaleConnection);
    CHECK(!d.Disconnect(handle));
    d.SendHello(handle, Span("x"));
    d.SendClose(handle, true);
    d.Suspend(handle, true);
  }
  Turn(d, {&w});
  CHECK(w.Others().empty());
  CHECK(!d.Find(w.connection())->closing);
}

TEST(AConfigurationIsSentAsItIs) {
  Dispatcher d({});
  FakeWorker w(d, 1, false);
  d.SendHello(w.connection(), Span("how to be set up"));
  d.SendHello(w.connection(), {});
  Turn(d, {&w});
  const auto others = w.Others();
  CHECK_EQ(others.size(), 2u);
  CHECK_EQ(others[0].first, kHello);
  CHECK_EQ(others[0].second, "how to be set up");
  CHECK_EQ(others[1].second, "");
}

TEST(BytesForAConnectionThatHasEndedGoNowhere) {
  Dispatcher d({});
  FakeWorker w(d, 1);
  d.SendHello(w.connection(), Span("x"));
  CHECK(d.Disconnect(w.connection()));
  FakeWorker next(d, 2);
  d.Flush([](Connection&) { CHECK(false); });
}

TEST(AWorkerThatIsAskedToAbortSeesItInItsPage) {
  Dispatcher d({});
  FakeWorker gentle(d, 1), hard(d, 2), bare(d, 3, true, false);
  d.SendClose(gentle.connection(), false);
  d.SendClose(hard.connection(), true);
  d.SendClose(bare.connection(), true);
  CHECK_EQ(gentle.page()->closing.load(), 0u);
  CHECK_EQ(hard.page()->closing.load(), 1u);
  Turn(d, {&gentle, &hard, &bare});
  CHECK_EQ(gentle.Others()[0].second[0], '\0');
  CHECK_EQ(hard.Others()[0].second[0], '\1');
  CHECK_EQ(bare.Others()[0].second[0], '\1');
}

TEST(WhatAWorkerMayNotSayIsRefusedAndChangesNothing) {
  struct Case {
    bool greeted;
    std::uint8_t type;
    std::string body;
    Fault fault;
  };
  const std::string hello("\x01\0\0\0\0\0\0\0", 8);
  const std::string done("\x01\0\0\0\0\0\0\0\0", 9);
  const std::string bad_status("\x01\0\0\0\x03\0\0\0\0", 9);
  const Case cases[] = {
      {false, kHello, hello.substr(1), Fault::kMalformed},
      {false, kHello, "", Fault::kMalformed},
      {false, kHello, std::string("\x02\0\0\0\0\0\0\0", 8), Fault::kMalformed},
      {false, kDone, done, Fault::kOutOfPlace},
      {false, kNext, "", Fault::kOutOfPlace},
      {false, kSchedule, std::string(kScheduleFields, '\0'), Fault::kOutOfPlace},
      {true, kHello, hello, Fault::kOutOfPlace},
      {true, kDone, done.substr(1), Fault::kMalformed},
      {true, kDone, bad_status, Fault::kMalformed},
      {true, kDone, done, Fault::kBadSequence},
      {true, kSchedule, std::string(kScheduleFields - 1, '\0'), Fault::kMalformed},
      {true, kSchedule + 2, std::string(kScheduleFields, '\0'), Fault::kBadPriority},
      {true, kAccepted, "", Fault::kUnknownType},
      {true, 0, "", Fault::kUnknownType},
  };
  for (const Case& one : cases) {
    Dispatcher d({});
    FakeWorker w(d, 1, one.greeted);
    const std::size_t records = d.completions().count();
    CHECK_EQ(w.Say(one.type, one.body), one.fault);
    d.Dispatch();
    CHECK_EQ(d.counts().accepted, 0u);
    CHECK_EQ(d.completions().count(), records);
    CHECK_EQ(d.Find(w.connection())->greeted, one.greeted);
    CheckSums(d);
  }
}

TEST(AWorkerMayReportItsSetUpBeforeItsHello) {
  Dispatcher d({});
  FakeWorker w(d, 5, false);
  CHECK(w.Message("on the way") == Fault::kNone);
  CHECK(w.Say(kStartFailed, "why") == Fault::kNone);
  const std::vector<Read> records = ReadAll(d.completions());
  CHECK_EQ(KindsOf(records), "startFailed ");
  CHECK_EQ(records[0].payload, "why");
  CHECK_EQ(records[0].record.worker, 5u);
  CHECK_EQ(d.inbox().count(), 1u);
}

TEST(AScheduledTaskHasThePolicyOfItsFrame) {
  Dispatcher d({});
  FakeWorker w(d, 5);
  const Submission policy{.flags = 0xFF & ~kScheduleAwaited, .max_crashes = 1, .max_retries = 2};
  CHECK(w.Schedule(1, 9, "child", policy) == Fault::kNone);
  Turn(d, {&w});
  const Task task = w.Tasks()[0];
  // Flags that say what became of a task are the dispatcher's own.
  CHECK_EQ(task.flags, 0u);
  CHECK(w.Claim(task));
  ReadAll(d.completions());
  CHECK(w.Done(task.sequence, DoneStatus::kError, 1, "why") == Fault::kNone);
  const std::vector<Read> records = ReadAll(d.completions());
  CHECK_EQ(KindsOf(records), "retry ");
  CHECK_EQ(records[0].record.id, (5ull << 32) + 9);
  CHECK_EQ(records[0].record.level, 1u);
  CHECK(d.Retry(records[0].record.slot, 0));
  Turn(d, {&w});
  CHECK(w.Claim(w.Tasks()[0]));
  CHECK(d.Disconnect(w.connection()));
  const std::uint32_t slot = ReadAll(d.completions())[0].record.slot;
  CHECK_EQ(SettleLost(d, slot, false), LostOutcome::kPoison);
  CHECK_EQ(KindsOf(ReadAll(d.inbox())), "lost ");
  CheckSums(d);
}

TEST(CrashesAreCountedAsFarAsTheyGo) {
  Dispatcher d({});
  Submit(d, 0, 0, "", kFlagRetryLost, {.max_retries = 1000});
  for (int crash = 0; crash < 300; ++crash) {
    FakeWorker w(d, 1, true, false);
    Turn(d, {&w});
    CHECK_EQ(w.Tasks().size(), 1u);
    CHECK(d.Disconnect(w.connection()));
    const std::vector<Read> records = ReadAll(d.completions());
    CHECK_EQ(SettleLost(d, records.back().record.slot, false), LostOutcome::kRetry);
    CHECK(d.Retry(records.back().record.slot, 0));
  }
  CheckSums(d);
}

TEST(TheOwnersMessagesAreInTheInboxUntilItIsDiscarded) {
  Dispatcher d({.inbox_mark = 0});
  FakeWorker w(d, 3);
  d.Post(Span("mine"));
  CHECK(w.Message("its") == Fault::kNone);
  Turn(d, {&w});
  CHECK(w.Others().empty());
  d.AcknowledgeAll();
  Turn(d, {&w});
  CHECK_EQ(w.Others().size(), 1u);
  d.DiscardMessages();
  CHECK_EQ(d.counts().discarded, 2u);
  CHECK_EQ(d.inbox().bytes(), 0u);
  d.Post(Span("more"));
  CHECK_EQ(d.counts().discarded, 3u);
  CHECK_EQ(d.counts().messages, 3u);
  CHECK_EQ(d.inbox().count(), 0u);
}

TEST(RecordsAreReadWholeThroughABufferOfAnySize) {
  Dispatcher d({});
  std::size_t posted = 0;
  for (std::size_t size = 0; size < 2000; size += 7) {
    d.Post(Span(std::string(size, static_cast<char>('a' + size % 26))));
    ++posted;
  }
  std::size_t read = 0;
  std::vector<std::uint8_t> buffer(1);
  while (d.inbox().count() > 0) {
    const std::size_t size = d.inbox().Drain(buffer);
    if (size == 0) buffer.resize(d.inbox().NextSize());
    for (std::size_t at = 0; at < size; ++read) {
      const std::size_t length = Load<std::uint32_t>(buffer.data() + at);
      CHECK_EQ(length, read * 7);
      CHECK(length == 0 || buffer[at + sizeof(Record) + length - 1] == 'a' + length % 26);
      at += sizeof(Record) + length;
      CHECK(at <= size);
    }
  }
  CHECK_EQ(read, posted);
  CHECK_EQ(d.inbox().bytes(), 0u);
  CHECK_EQ(d.inbox().NextSize(), 0u);
}

TEST(ATicketThatWasGivenToAnotherTaskStaysThatOnes) {
  Dispatcher d({});
  FakeWorker w(d, 1);
  Submit(d, 0, 0, "old");
  Turn(d, {&w});
  const Task task = w.Tasks()[0];
  CHECK(w.Claim(task));
  Submit(d, 0, 0, "new");
  CHECK(w.Done(task.sequence) == Fault::kNone);
  CHECK(d.Cancel(0) == CancelOutcome::kDropped);
  CHECK_EQ(Said(d), "ready value cancelled ");
  CheckSums(d);
}

}  // namespace

int main() { return bosun::test::RunAll(); }
