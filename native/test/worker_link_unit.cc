// A worker's end of its connection: tasks in however they are cut, results out in batches, what is held back for too
// long by the thread that watches, and what a slow or absent reader makes of it.

#include "process/worker_link.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include <chrono>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

#include "check.h"
#include "frame/decoder.h"
#include "process/clock.h"
#include "process/prefixes.h"

namespace {

using bosun::ArrivedTask;
using bosun::Bytes;
using bosun::ByteSpan;
using bosun::DoneStatus;
using bosun::FrameDecoder;
using bosun::kBatchedRunUs;
using bosun::Prefixes;
using bosun::SharedPage;
using bosun::SpinRule;
using bosun::StatusPage;
using bosun::StopReason;
using bosun::UniqueFd;
using bosun::WorkerLink;

struct Frame {
  std::uint8_t type;
  std::vector<std::uint8_t> body;
  std::uint32_t sequence() const { return bosun::Load<std::uint32_t>(body.data()); }
};

// A manager as simple as can be, and the worker's link.
class Pair {
 public:
  Pair() {
    int ends[2];
    CHECK_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    manager_ = UniqueFd(ends[0]);
    const UniqueFd file = bosun::AnonymousFile(sizeof(bosun::StatusPage));
    page = bosun::MapPage(file.get());
    link = std::make_unique<WorkerLink>(bosun::Stream(UniqueFd(ends[1])), bosun::MapPage(file.get()));
  }

  static void AppendTask(Bytes& out, std::uint32_t sequence, ByteSpan payload) {
    std::uint8_t* at = bosun::AppendFrame(out, bosun::kTask, bosun::kTaskFields + payload.size());
    at = bosun::Store(at, sequence);
    at = bosun::Store(at, std::uint16_t{3});
    at = bosun::Store(at, bosun::kTaskForeign);
    at = bosun::Store(at, 0x1'0000'0000u + sequence);
    if (!payload.empty()) std::memcpy(at, payload.data(), payload.size());
  }

  void Write(ByteSpan bytes) {
    CHECK_EQ(::send(manager_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }

  // `count` tasks with payloads of `length`, that may be claimed.
  void SendTasks(std::uint32_t first, std::uint32_t count, std::size_t length = 8) {
    page->claim.Extend(first + count - 1);
    Bytes out;
    const std::vector<std::uint8_t> payload(length, static_cast<std::uint8_t>(first));
    for (std::uint32_t i = 0; i < count; ++i) AppendTask(out, first + i, payload);
    Write(out.span());
  }

  // Frames until there are `count` of them, or none came for `patience_ms`.
  std::vector<Frame> Receive(std::size_t count, int patience_ms = 5000) {
    std::vector<Frame> frames;
    std::vector<std::uint8_t> buffer(1 << 20);
    while (frames.size() < count) {
      pollfd ready{manager_.get(), POLLIN, 0};
      if (::poll(&ready, 1, patience_ms) == 0) break;
      const ssize_t got = ::recv(manager_.get(), buffer.data(), buffer.size(), 0);
      if (got <= 0) break;
      decoder_.Push(ByteSpan(buffer.data(), static_cast<std::size_t>(got)), [&](std::uint8_t type, ByteSpan body) {
        frames.push_back({type, {body.begin(), body.end()}});
        return true;
      });
    }
    return frames;
  }

  void HangUp() { manager_ = UniqueFd(); }

  SharedPage page;
  std::unique_ptr<WorkerLink> link;

 private:
  UniqueFd manager_;
  FrameDecoder decoder_{std::uint64_t{1} << 40};
};

const std::uint8_t kResult[] = {1, 2, 3};

void Sleep(std::uint64_t us) { std::this_thread::sleep_for(std::chrono::microseconds(us)); }

TEST(BeginsTasksInOrderAndAnswersThemInOneBatch) {
  Pair pair;
  pair.SendTasks(1, 100);
  CHECK(pair.link->Read());
  CHECK(!pair.link->Read());
  ArrivedTask task;
  for (std::uint32_t sequence = 1; sequence <= 100; ++sequence) {
    CHECK(pair.link->Begin(0, task));
    CHECK_EQ(task.sequence, sequence);
    CHECK_EQ(task.attempt, 3);
    CHECK_EQ(task.flags, bosun::kTaskForeign);
    CHECK_EQ(task.id, 0x1'0000'0000u + sequence);
    CHECK_EQ(task.payload.size(), 8u);
    CHECK(!task.IsLarge());
    CHECK_EQ(pair.page->claim.claimed(), sequence);
    CHECK_EQ(pair.page->lanes[0].sequence(), sequence);
    CHECK(!pair.page->ended.Has(sequence));
    pair.link->Done(0, DoneStatus::kValue, kResult);
    CHECK(pair.page->ended.Has(sequence));
    CHECK_EQ(pair.page->lanes[0].sequence(), 0u);
  }
  CHECK(!pair.link->Begin(0, task));
  CHECK(pair.link->Rest());
  const std::vector<Frame> frames = pair.Receive(100);
  CHECK_EQ(frames.size(), 100u);
  for (std::uint32_t i = 0; i < 100; ++i) {
    CHECK_EQ(frames[i].type, bosun::kDone);
    CHECK_EQ(frames[i].sequence(), i + 1);
    CHECK_EQ(frames[i].body.size(), bosun::kDoneFields + sizeof kResult);
    CHECK_EQ(std::memcmp(frames[i].body.data() + bosun::kDoneFields, kResult, sizeof kResult), 0);
  }
}

TEST(AResultBeforeARunningTaskLeavesWithinAMillisecond) {
  Pair pair;
  pair.SendTasks(1, 2);
  pair.link->Read();
  ArrivedTask task;
  for (int round = 0; round < 5; ++round) {
    CHECK(pair.link->Begin(0, task));
    pair.link->Done(0, DoneStatus::kValue, kResult);
    CHECK(pair.link->Begin(0, task));
    // This thread is busy: it says nothing more. The bound is wide, for a host with other work.
    const std::uint64_t start = bosun::NowUs();
    const std::vector<Frame> frames = pair.Receive(1);
    CHECK_EQ(frames.size(), 1u);
    CHECK_EQ(frames[0].sequence(), task.sequence - 1);
    CHECK(bosun::NowUs() - start < 500'000);
    pair.link->Done(0, DoneStatus::kValue, kResult);
    CHECK(pair.link->Flush());
    CHECK_EQ(pair.Receive(1).size(), 1u);
    pair.SendTasks(task.sequence + 1, 2);
    pair.link->Read();
  }
}

TEST(WhatATaskSendsWhileItRunsLeavesToo) {
  Pair pair;
  pair.SendTasks(1, 1);
  pair.link->Read();
  ArrivedTask task;
  CHECK(pair.link->Begin(0, task));
  pair.link->Send(bosun::kMessage, {}, kResult);
  CHECK_EQ(pair.Receive(1).size(), 1u);
}

TEST(KnowsWhatWasGivenSinceTheLastFlush) {
  Pair pair;
  pair.SendTasks(1, 1);
  pair.link->Read();
  ArrivedTask task;
  CHECK(pair.link->Begin(0, task));
  pair.link->Done(0, DoneStatus::kValue, kResult);
  CHECK_EQ(pair.link->held(), 1u);
  pair.link->Flush();
  CHECK_EQ(pair.link->held(), 0u);
  CHECK_EQ(pair.Receive(1).size(), 1u);
}

TEST(ALongTaskIsAnsweredAtOnceAndNoMoreIsHeldThanThePageRemembers) {
  Pair pair;
  pair.SendTasks(1, 600);
  pair.link->Read();
  ArrivedTask task;
  CHECK(pair.link->Begin(0, task));
  Sleep(std::uint64_t{2} * kBatchedRunUs);
  CHECK(pair.link->Done(0, DoneStatus::kValue, kResult) > kBatchedRunUs);
  CHECK_EQ(pair.link->held(), 0u);
  CHECK(pair.link->Begin(0, task));
  Sleep(std::uint64_t{2} * kBatchedRunUs);
  pair.link->Restart(0);
  CHECK(pair.link->Done(0, DoneStatus::kValue, kResult) < 100'000);
  while (pair.link->Begin(0, task)) {
    pair.link->Done(0, DoneStatus::kValue, {});
    CHECK(pair.link->held() < WorkerLink::kMaxHeld);
  }
  pair.link->Flush();
  CHECK_EQ(pair.Receive(600).size(), 600u);
}

TEST(SkipsWhatWasTakenBackAndSaysSoWhenNothingIsLeft) {
  Pair pair;
  pair.SendTasks(1, 5);
  pair.link->Read();
  ArrivedTask task;
  CHECK(pair.link->Begin(0, task));
  CHECK_EQ(pair.page->claim.Recall(5), 1u);
  pair.SendTasks(6, 1);
  pair.link->Read();
  CHECK(pair.link->Begin(1, task));
  CHECK_EQ(task.sequence, 6u);
  CHECK(!pair.link->Begin(2, task));
  CHECK_EQ(pair.page->lanes[2].sequence(), 0u);
  pair.link->Rest();
  pair.link->Rest();
  const std::vector<Frame> frames = pair.Receive(2, 20);
  CHECK_EQ(frames.size(), 1u);
  CHECK_EQ(frames[0].type, bosun::kNext);
  CHECK(frames[0].body.empty());
}

TEST(ControlFramesPassTheTasksInOrderAmongThemselves) {
  Pair pair;
  Bytes out;
  Pair::AppendTask(out, 1, kResult);
  *bosun::AppendFrame(out, bosun::kClose, 1) = 1;
  Pair::AppendTask(out, 2, {});
  bosun::AppendFrame(out, 0xEE, 0);
  // A task without its fields is none.
  bosun::Store(bosun::AppendFrame(out, bosun::kTask, 4), 7u);
  // One byte at a time.
  for (const std::uint8_t& byte : out.span()) {
    pair.Write({&byte, 1});
    pair.link->Read();
  }
  CHECK(pair.link->HasControl());
  const Bytes control = pair.link->TakeControl();
  CHECK(!pair.link->HasControl());
  CHECK_EQ(control.size(), 3 * bosun::kHeaderBytes + 1 + 4);
  CHECK_EQ(control.data()[0], bosun::kClose);
  CHECK_EQ(control.data()[bosun::kHeaderBytes + 1], 0xEE);
  pair.page->claim.Extend(2);
  ArrivedTask task;
  CHECK(pair.link->Begin(0, task));
  CHECK_EQ(task.payload.size(), sizeof kResult);
  CHECK(pair.link->Begin(1, task));
  CHECK_EQ(task.payload.size(), 0u);
}

TEST(LargeTasksArriveWholeBetweenSmallOnes) {
  Pair pair;
  std::mt19937_64 random(bosun::test::NewSeed());
  std::vector<std::vector<std::uint8_t>> payloads;
  Bytes out;
  for (std::uint32_t i = 0; i < 24; ++i) {
    const std::size_t lengths[] = {0, 5, 65'519, 65'520, 65'521, 200'000, 3'000'000, random() % 600'000};
    payloads.emplace_back(lengths[i % std::size(lengths)]);
    for (std::uint8_t& byte : payloads.back()) byte = static_cast<std::uint8_t>(random());
    Pair::AppendTask(out, i + 1, payloads.back());
  }
  pair.page->claim.Extend(24);
  std::thread writer([&] { pair.Write(out.span()); });
  ArrivedTask task;
  for (std::uint32_t i = 0; i < 24;) {
    pair.link->Read();
    while (pair.link->Begin(0, task)) {
      const std::vector<std::uint8_t>& expected = payloads[i++];
      const bool is_large = bosun::kTaskFields + expected.size() >= FrameDecoder::kLargeBody;
      CHECK_EQ(task.IsLarge(), is_large);
      CHECK_EQ(task.sequence, i);
      const ByteSpan payload = is_large ? task.body.span().subspan(bosun::kTaskFields) : task.payload;
      CHECK_EQ(payload.size(), expected.size());
      CHECK(expected.empty() || std::memcmp(payload.data(), expected.data(), expected.size()) == 0);
      pair.link->Done(0, DoneStatus::kValue, {});
    }
  }
  writer.join();
  bosun::test::seed = 0;
}

// Large results go around the buffer; a reader that is slow gets all of it in order, by the loop or by the thread.
TEST(EveryByteArrivesInOrderAtASlowReader) {
  Pair pair;
  constexpr std::uint32_t kTasks = 400;
  pair.SendTasks(1, kTasks);
  std::vector<Frame> frames;
  std::thread reader([&] {
    while (frames.size() < kTasks) {
      for (Frame& frame : pair.Receive(1)) frames.push_back(std::move(frame));
      if (frames.size() % 7 == 0) Sleep(300);
    }
  });
  std::mt19937_64 random(bosun::test::NewSeed());
  ArrivedTask task;
  for (std::uint32_t i = 1; i <= kTasks; ++i) {
    while (!pair.link->Begin(0, task)) pair.link->Read();
    const std::size_t length = i % 10 == 0 ? std::size_t{64} * 1024 + random() % 500'000 : random() % 3'000;
    const std::vector<std::uint8_t> payload(length, static_cast<std::uint8_t>(i));
    pair.link->Done(0, DoneStatus::kValue, payload, i % 3 == 0 ? 7 : -1);
    // Busy for a while, sometimes, so that the thread takes its part.
    if (i % 40 == 0) Sleep(3'000);
    if (i % 5 == 0) pair.link->Flush();
  }
  while (!pair.link->Flush()) Sleep(100);
  reader.join();
  for (std::uint32_t i = 1; i <= kTasks; ++i) {
    const Frame& frame = frames[i - 1];
    CHECK_EQ(frame.sequence(), i);
    std::size_t at = bosun::kDoneFields;
    if (i % 3 == 0) CHECK_EQ(frame.body[at++], 7);
    for (; at < frame.body.size(); ++at) CHECK_EQ(frame.body[at], static_cast<std::uint8_t>(i));
  }
  bosun::test::seed = 0;
}

TEST(FlushFullyWaitsForRoomAndGivesUp) {
  Pair pair;
  pair.SendTasks(1, 1);
  pair.link->Read();
  ArrivedTask task;
  CHECK(pair.link->Begin(0, task));
  const std::vector<std::uint8_t> payload(4 << 20, 9);
  pair.link->Done(0, DoneStatus::kValue, payload);
  CHECK(!pair.link->Flush());
  CHECK(pair.link->blocked());
  std::vector<Frame> frames;
  std::thread reader([&] {
    Sleep(20'000);
    frames = pair.Receive(1);
  });
  CHECK(pair.link->FlushFully(5'000));
  reader.join();
  CHECK_EQ(frames.size(), 1u);
  CHECK_EQ(frames[0].body.size(), bosun::kDoneFields + payload.size());
  pair.link->Send(bosun::kMessage, {}, payload);
  CHECK(!pair.link->FlushFully(20));
}

TEST(AManagerThatIsGoneIsTheEndAndNothingIsKeptForIt) {
  Pair pair;
  pair.SendTasks(1, 2);
  pair.HangUp();
  CHECK(pair.link->Read());
  while (!pair.link->ended()) pair.link->Read();
  CHECK(!pair.link->Read());
  ArrivedTask task;
  CHECK(pair.link->Begin(0, task));
  const std::vector<std::uint8_t> payload(1 << 20, 9);
  pair.link->Done(0, DoneStatus::kValue, payload);
  CHECK(pair.link->Begin(0, task));
  Sleep(3'000);
  pair.link->Done(0, DoneStatus::kValue, kResult);
  CHECK(pair.link->Flush());
  CHECK(!pair.link->blocked());
  CHECK(!pair.link->FlushFully(1'000));
}

TEST(KnowsWhyATaskIsToStop) {
  Pair pair;
  CHECK_EQ(pair.link->Stopped(7, 3), StopReason::kNone);
  pair.page->lanes[3].Stop(7, StopReason::kTimeout);
  CHECK_EQ(pair.link->Stopped(7, 3), StopReason::kTimeout);
  CHECK_EQ(pair.link->Stopped(8, 3), StopReason::kNone);
  pair.page->closing.store(1, std::memory_order_relaxed);
  CHECK_EQ(pair.link->Stopped(7, 3), StopReason::kTimeout);
  CHECK_EQ(pair.link->Stopped(8, 3), StopReason::kClosing);
}

// ---- spinning ---------------------------------------------------------------------------

TEST(SpinsForAsLongAsThePageSaysAndNotUnasked) {
  Pair pair;
  CHECK(!pair.link->Spin());
  pair.page->spin_us.store(1'000'000, std::memory_order_relaxed);
  const std::uint64_t start = bosun::NowUs();
  CHECK(!pair.link->Spin());
  // Clamped to a millisecond.
  CHECK(bosun::NowUs() - start >= 1'000);
  CHECK(bosun::NowUs() - start < 900'000);
  pair.SendTasks(1, 1);
  CHECK(pair.link->Spin());
  CHECK(pair.link->HasTasks());
  ArrivedTask task;
  CHECK(pair.link->Begin(0, task));
  CHECK(!pair.link->answered());
  pair.link->Done(0, DoneStatus::kValue, kResult);
  CHECK(pair.link->answered());
  CHECK(!pair.link->Spin());
  CHECK(!pair.link->answered());
}

TEST(SpinningIsGivenUpWhenItDoesNotPayAndTriedNowAndThen) {
  SpinRule rule;
  for (std::uint32_t i = 0; i < SpinRule::kMisses; ++i) {
    CHECK(rule.Try());
    rule.Miss();
  }
  for (int round = 0; round < 3; ++round) {
    for (std::uint32_t i = 1; i < SpinRule::kRetry; ++i) CHECK(!rule.Try());
    CHECK(rule.Try());
    rule.Miss();
  }
  for (std::uint32_t i = 1; i < SpinRule::kRetry; ++i) CHECK(!rule.Try());
  CHECK(rule.Try());
  rule.Hit();
  for (std::uint32_t i = 0; i < SpinRule::kMisses; ++i) {
    CHECK(rule.Try());
    rule.Miss();
  }
  CHECK(!rule.Try());
}

// ---- what payloads begin with -------------------------------------------------------------

TEST(FindsWhatAPayloadBeginsWithUntilItMakesWay) {
  Prefixes prefixes;
  const auto bytes = [](std::uint8_t n) { return std::vector<std::uint8_t>{9, 9, n}; };
  CHECK_EQ(prefixes.Find(bytes(0)), Prefixes::kNone);
  for (std::uint8_t n = 0; n < Prefixes::kPlaces; ++n) CHECK_EQ(prefixes.Remember(bytes(n)), n);
  for (std::uint8_t n = 0; n < Prefixes::kPlaces; ++n) {
    std::vector<std::uint8_t> payload = bytes(n);
    CHECK_EQ(prefixes.Find(payload), n);
    payload.push_back(1);
    CHECK_EQ(prefixes.Find(payload), n);
    CHECK_EQ(prefixes.Find(ByteSpan(payload).first(2)), Prefixes::kNone);
    CHECK_EQ(prefixes.Length(n), 3u);
  }
  CHECK_EQ(prefixes.Remember(bytes(200)), 0u);
  CHECK_EQ(prefixes.Find(bytes(0)), Prefixes::kNone);
  CHECK_EQ(prefixes.Find(bytes(200)), 0u);
  CHECK_EQ(prefixes.Find({}), Prefixes::kNone);
}

}  // namespace

int main() {
  ::signal(SIGPIPE, SIG_IGN);
  return bosun::test::RunAll();
}
