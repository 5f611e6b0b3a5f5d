// A dispatcher with workers that are played by the test: no sockets, no threads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "check.h"
#include "dispatch/dispatcher.h"

namespace bosun::test {

struct Task {
  std::uint32_t sequence;
  std::uint64_t id;
  std::string payload;
};

inline ByteSpan Span(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// A status page in memory of this process.
inline SharedPage NewPage() {
  UniqueFd file = AnonymousFile();
  return MapPage(file.get());
}

// The other end of one connection.
class FakeWorker {
 public:
  FakeWorker(Dispatcher& dispatcher, std::uint32_t worker, bool greet = true) : dispatcher_(dispatcher) {
    SharedPage page = NewPage();
    CHECK(page != nullptr);
    page_ = page.get();
    connection_ = dispatcher.Connect(worker, std::move(page));
    if (greet) Greet();
  }

  std::uint32_t connection() const { return connection_; }

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
  std::vector<std::pair<std::uint8_t, std::string>> Others() { return std::exchange(others_, {}); }

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

  Fault Schedule(std::uint32_t priority, std::uint32_t number, std::string_view payload) {
    Bytes out;
    std::uint8_t* at =
        AppendFrame(out, static_cast<std::uint8_t>(kSchedule + priority), kScheduleFields + payload.size());
    at = Store(at, number);
    at = std::fill_n(at, kScheduleFields - sizeof number, std::uint8_t{0});
    std::copy(payload.begin(), payload.end(), at);
    return dispatcher_.Receive(connection_, out.span());
  }

  Fault Next() {
    Bytes out;
    AppendFrame(out, kNext, 0);
    return dispatcher_.Receive(connection_, out.span());
  }

  Fault Message(std::string_view payload) {
    Bytes out;
    std::copy(payload.begin(), payload.end(), AppendFrame(out, kMessage, payload.size()));
    return dispatcher_.Receive(connection_, out.span());
  }

  void OnBytes(ByteSpan bytes) {
    const DecodeResult result = decoder_.Push(bytes, [&](std::uint8_t type, ByteSpan body) {
      const std::string text(body.begin(), body.end());
      if (type == kTask) {
        tasks_.push_back(
            {Load<std::uint32_t>(body.data()), Load<std::uint64_t>(body.data() + 8), text.substr(kTaskFields)});
      } else {
        others_.emplace_back(type, text);
      }
      return true;
    });
    CHECK(result == DecodeResult::kOk);
  }

 private:
  Dispatcher& dispatcher_;
  std::uint32_t connection_ = 0;
  StatusPage* page_ = nullptr;
  FrameDecoder decoder_{1 << 20};
  std::vector<Task> tasks_;
  std::vector<std::pair<std::uint8_t, std::string>> others_;
};

// Dispatches and delivers to these workers.
inline void Turn(Dispatcher& dispatcher, std::vector<FakeWorker*> workers) {
  dispatcher.Dispatch();
  dispatcher.Flush([&](std::uint32_t connection, Bytes&& bytes) {
    for (FakeWorker* worker : workers) {
      if (worker->connection() == connection) worker->OnBytes(bytes.span());
    }
  });
}

struct Read {
  Record record;
  std::string payload;
};

inline std::vector<Read> ReadAll(RecordQueue& queue) {
  std::vector<Read> records;
  std::vector<std::uint8_t> buffer(1 << 16);
  while (queue.count() > 0) {
    const std::size_t size = queue.Drain(buffer);
    if (size == 0) {
      buffer.resize(queue.NextSize());
      continue;
    }
    for (std::size_t at = 0; at < size;) {
      Read read;
      std::memcpy(&read.record, buffer.data() + at, sizeof(Record));
      at += sizeof(Record);
      read.payload.assign(reinterpret_cast<const char*>(buffer.data()) + at, read.record.length);
      at += read.record.length;
      records.push_back(read);
    }
  }
  return records;
}

inline void Submit(Dispatcher& dispatcher, std::uint32_t level, std::uint32_t ticket, std::string_view payload,
                   std::uint8_t flags = 0, Submission submission = {}) {
  submission.id = ticket + 1;
  submission.ticket = ticket;
  submission.level = level;
  submission.flags = flags;
  CHECK(dispatcher.Submit(submission, Span(payload)));
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
  }
  CHECK_EQ(c.waiting, sum.waiting);
  CHECK_EQ(c.sent, sum.sent);
  CHECK_EQ(c.held, sum.held);
  CHECK_EQ(c.accepted, sum.accepted);
}

}  // namespace bosun::test
