// A dispatcher with workers and peers that are played by the test: no sockets, no threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "dispatch/dispatcher.h"

namespace bosun::test {

struct Task {
  std::uint32_t sequence;
  std::uint64_t id;
  std::string payload;
  std::uint16_t attempt = 0;
  std::uint16_t flags = 0;
};

inline ByteSpan Span(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// A status page in memory of this process.
inline SharedPage NewPage() {
  UniqueFd file = AnonymousFile(sizeof(StatusPage));
  return MapPage(file.get());
}

// The other end of one connection, and what arrived there.
class FakeEnd {
 public:
  FakeEnd(const FakeEnd&) = delete;
  FakeEnd& operator=(const FakeEnd&) = delete;
  virtual ~FakeEnd() = default;

  std::uint32_t connection() const { return connection_; }
  // What arrived since the last call, other than tasks.
  std::vector<std::pair<std::uint8_t, std::string>> Others() { return std::exchange(others_, {}); }

  Fault Say(std::uint8_t type, std::string_view body = "") {
    Bytes out;
    std::copy(body.begin(), body.end(), AppendFrame(out, type, body.size()));
    return dispatcher_.Receive(connection_, out.span());
  }
  Fault Next() { return Say(kNext); }
  Fault Message(std::string_view payload) { return Say(kMessage, payload); }

  void OnBytes(ByteSpan bytes) {
    const DecodeResult result = decoder_.Push(bytes, [&](std::uint8_t type, ByteSpan body) {
      const std::string text(body.begin(), body.end());
      if (!OnTask(type, body)) others_.emplace_back(type, text);
      return true;
    });
    CHECK(result == DecodeResult::kOk);
  }

 protected:
  explicit FakeEnd(Dispatcher& dispatcher) : dispatcher_(dispatcher) {}
  // False when the frame is no task, and so one of the others.
  virtual bool OnTask(std::uint8_t type, ByteSpan body) = 0;

  Dispatcher& dispatcher_;
  std::uint32_t connection_ = 0;

 private:
  FrameDecoder decoder_{1 << 20};
  std::vector<std::pair<std::uint8_t, std::string>> others_;
};

// One of bosun's own workers.
class FakeWorker : public FakeEnd {
 public:
  FakeWorker(Dispatcher& dispatcher, std::uint32_t worker, bool greet = true, bool with_page = true,
             std::uint32_t place = 0)
      : FakeEnd(dispatcher) {
    SharedPage page = with_page ? NewPage() : nullptr;
    CHECK(with_page == (page != nullptr));
    page_ = page.get();
    connection_ = dispatcher.Connect(worker, std::move(page), place);
    if (greet) Greet();
  }

  // On another host.
  struct Remote {};
  static constexpr Remote kRemote{};
  FakeWorker(Dispatcher& dispatcher, std::uint32_t worker, Remote, bool greet = true) : FakeEnd(dispatcher) {
    connection_ = dispatcher.ConnectRemote(worker);
    CHECK(connection_ != 0);
    if (greet) Greet();
  }

  void Greet() {
    Bytes out;
    std::uint8_t* at = AppendFrame(out, kHello, kHelloFields);
    at = Store(at, kProtocolVersion);
    at = Store(at, std::uint16_t{0});
    Store(at, std::uint32_t{1234});
    CHECK(dispatcher_.Receive(connection_, out.span()) == Fault::kNone);
  }

  // What arrived since the last call.
  std::vector<Task> Tasks() { return std::exchange(tasks_, {}); }
  // Null when it has none.
  StatusPage* page() const { return page_; }

  bool Claim(const Task& task, std::uint32_t lane = 0, std::uint64_t now_us = 0) {
    page_->lanes[lane].Begin(task.sequence, now_us);
    if (page_->claim.Claim(task.sequence)) return true;
    page_->lanes[lane].End();
    return false;
  }
  // Has ended, without saying so.
  void End(const Task& task, std::uint32_t lane = 0) {
    page_->ended.Ended(task.sequence);
    page_->lanes[lane].End();
  }
  StopReason Stopped(const Task& task, std::uint32_t lane = 0) const {
    return page_->lanes[lane].Stopped(task.sequence);
  }

  Fault Done(std::uint32_t sequence, DoneStatus status = DoneStatus::kValue, std::uint32_t run_us = 5000,
             std::string_view result = "") {
    Bytes out;
    std::uint8_t* at = AppendFrame(out, kDone, kDoneFields + result.size());
    at = Store(at, sequence);
    at = Store(at, status);
    at = Store(at, run_us);
    std::copy(result.begin(), result.end(), at);
    return dispatcher_.Receive(connection_, out.span());
  }

  Fault Schedule(std::uint32_t priority, std::uint32_t number, std::string_view payload, Submission policy = {},
                 std::uint32_t parent = 0) {
    policy.flags |= kFlagInboxErrors;
    return ScheduleAs(priority, number, payload, policy, parent);
  }
  // The task with the sequence number `parent` waits for it.
  Fault Fork(std::uint32_t priority, std::uint32_t number, std::string_view payload, std::uint32_t parent,
             Submission policy = {}) {
    policy.flags |= kScheduleAwaited;
    return ScheduleAs(priority, number, payload, policy, parent);
  }
  Fault SayNumber(std::uint8_t type, std::uint32_t number, std::string_view payload = "") {
    std::string body(sizeof number, 0);
    std::memcpy(body.data(), &number, sizeof number);
    return Say(type, body.append(payload));
  }

  // What was sent to its tasks since the last call, by sequence number, and the progress of others, by number.
  std::string Letters() {
    std::string all;
    for (const auto& [type, body] : Others()) {
      if (type != kLetter && type != kProgress) continue;
      const auto* at = reinterpret_cast<const std::uint8_t*>(body.data());
      all += (type == kProgress ? "p" : "") + std::to_string(Load<std::uint32_t>(at)) + ":" +
             body.substr(kLetterFields) + " ";
    }
    return all;
  }

  // The results that arrived since the last call: "7=value:abc ", by number, and how often another frame did: "x ".
  std::string Results() {
    constexpr const char* kNames[] = {"value",   "error",    "cancelled", "lost",
                                      "timeout", "deadline", "deadlock",  "unknown"};
    std::string all;
    for (const auto& [type, body] : Others()) {
      if (type != kResult) {
        all += std::string(1, static_cast<char>(type)) + " ";
        continue;
      }
      CHECK(body.size() >= kResultFields);
      const auto* at = reinterpret_cast<const std::uint8_t*>(body.data());
      CHECK(at[10] < std::size(kNames));
      all += std::to_string(Load<std::uint32_t>(at)) + "=" + kNames[at[10]] + ":" + body.substr(kResultFields) + " ";
    }
    return all;
  }

 private:
  Fault ScheduleAs(std::uint32_t priority, std::uint32_t number, std::string_view payload, const Submission& policy,
                   std::uint32_t parent) {
    Bytes out;
    std::uint8_t* at =
        AppendFrame(out, static_cast<std::uint8_t>(kSchedule + priority), kScheduleFields + payload.size());
    at = Store(at, number);
    at = Store(at, policy.timeout_ms);
    at = Store(at, policy.deadline_ms);
    at = Store(at, policy.max_retries);
    at = Store(at, policy.max_crashes);
    at = Store(at, policy.flags);
    at = Store(at, parent);
    std::copy(payload.begin(), payload.end(), at);
    return dispatcher_.Receive(connection_, out.span());
  }

  bool OnTask(std::uint8_t type, ByteSpan body) override {
    if (type != kTask) return false;
    CHECK(body.size() >= kTaskFields);
    const std::string text(body.begin() + kTaskFields, body.end());
    tasks_.push_back({Load<std::uint32_t>(body.data()), Load<std::uint64_t>(body.data() + 8), text,
                      Load<std::uint16_t>(body.data() + 4), Load<std::uint16_t>(body.data() + 6)});
    return true;
  }

  StatusPage* page_ = nullptr;
  std::vector<Task> tasks_;
};

// A peer on a listening socket: it speaks the reference dialogue, and its tasks are bare payloads.
class FakePeer final : public FakeEnd {
 public:
  FakePeer(Dispatcher& dispatcher, std::uint32_t worker) : FakeEnd(dispatcher) {
    connection_ = dispatcher.ConnectForeign(worker);
    CHECK(connection_ != 0);
  }

  Fault Done() { return Say(kDone); }
  Fault Schedule(std::uint32_t priority, std::string_view payload) {
    return Say(static_cast<std::uint8_t>(kSchedule + priority), payload);
  }
  // The answers to kNext and kDone since the last call; empty ones say that no task waits.
  std::vector<std::string> Answers() { return std::exchange(answers_, {}); }

 private:
  bool OnTask(std::uint8_t type, ByteSpan body) override {
    if (type != kTask) return false;
    answers_.emplace_back(body.begin(), body.end());
    return true;
  }

  std::vector<std::string> answers_;
};

// Dispatches and delivers to these.
inline void Turn(Dispatcher& dispatcher, const std::vector<FakeEnd*>& ends) {
  dispatcher.Dispatch();
  dispatcher.Flush([&](Connection& connection) {
    const Bytes bytes = connection.output.Take();
    for (FakeEnd* end : ends) {
      if (end->connection() == connection.handle) end->OnBytes(bytes.span());
    }
  });
}

struct Read {
  Record record;
  std::string payload;
};

inline std::vector<Read> ReadAll(RecordQueue& queue) {
  std::vector<Read> records;
  if (queue.count() == 0) return records;
  std::vector<std::uint8_t> buffer(queue.bytes());
  CHECK_EQ(queue.Drain(buffer), buffer.size());
  CHECK_EQ(queue.count(), 0u);
  for (std::size_t at = 0; at < buffer.size();) {
    Read read;
    std::memcpy(&read.record, buffer.data() + at, sizeof(Record));
    at += sizeof(Record);
    read.payload.assign(reinterpret_cast<const char*>(buffer.data()) + at, read.record.length);
    at += read.record.length;
    records.push_back(std::move(read));
  }
  return records;
}

inline const char* NameOf(RecordKind kind) {
  constexpr const char* kNames[] = {
      "?",      "value",      "error",   "cancelled", "lost",     "message",    "ready",        "startFailed",
      "full",   "retry",      "timeout", "stopping",  "deadline", "lostResult", "unresponsive", "foreignMessage",
      "closed", "workerExit", "progress"};
  return static_cast<std::size_t>(kind) < std::size(kNames) ? kNames[static_cast<std::size_t>(kind)] : "?";
}

// The kinds of the records, in order: "ready value ".
inline std::string KindsOf(const std::vector<Read>& records) {
  std::string kinds;
  for (const Read& read : records) kinds += std::string(NameOf(read.record.kind)) + " ";
  return kinds;
}
inline std::string Said(Dispatcher& dispatcher) { return KindsOf(ReadAll(dispatcher.completions())); }

inline std::string Payloads(const std::vector<Task>& tasks) {
  std::string all;
  for (const Task& task : tasks) all += task.payload + " ";
  return all;
}

inline void Submit(Dispatcher& dispatcher, std::uint32_t level, std::uint32_t ticket, std::string_view payload,
                   std::uint8_t flags = 0, Submission submission = {}) {
  submission.id = ticket + 1;
  submission.ticket = ticket;
  submission.level = level;
  submission.flags = flags;
  CHECK(dispatcher.Submit(submission, Span(payload)));
}

// What an owner does with a task that was lost.
inline LostOutcome SettleLost(Dispatcher& dispatcher, std::uint32_t slot, bool dropped, std::string_view error = "") {
  const LostOutcome outcome = dispatcher.JudgeLost(slot, dropped);
  dispatcher.SettleLost(slot, outcome, Span(error));
  return outcome;
}

inline void CheckSums(const Dispatcher& dispatcher) {
  const Counts& c = dispatcher.counts();
  CHECK_EQ(c.accepted, c.waiting + c.sent + c.held + c.done + c.failed + c.cancelled);
  Tally sum;
  for (std::uint32_t level = 0; level < dispatcher.levels(); ++level) {
    const Tally& t = dispatcher.tally(level);
    CHECK_EQ(t.accepted, t.waiting + t.sent + t.held + t.done + t.failed + t.cancelled);
    sum.waiting += t.waiting;
    sum.sent += t.sent;
    sum.held += t.held;
    sum.accepted += t.accepted;
    sum.done += t.done;
    sum.failed += t.failed;
    sum.cancelled += t.cancelled;
  }
  CHECK_EQ(c.waiting, sum.waiting);
  CHECK_EQ(c.sent, sum.sent);
  CHECK_EQ(c.held, sum.held);
  CHECK_EQ(c.accepted, sum.accepted);
  CHECK(c.fresh <= c.waiting);
  CHECK_EQ(c.done, sum.done);
  CHECK_EQ(c.failed, sum.failed);
  CHECK_EQ(c.cancelled, sum.cancelled);
}

}  // namespace bosun::test
