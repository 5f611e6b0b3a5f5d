// The input is a program: what an owner, workers and peers do to a dispatcher, in any order. The owner keeps to the
// rules; workers and peers send anything and write anything into their pages. After each step every task is in exactly
// one place, and at the end every ticket has had its one end.

#include <array>
#include <cstdint>
#include <vector>

#include "dispatch_harness.h"

namespace {

using namespace bosun;
using namespace bosun::test;

constexpr std::uint32_t kTickets = 32;
constexpr std::size_t kEnds = 8;
constexpr std::size_t kMaxSteps = 2000;

class Input {
 public:
  explicit Input(ByteSpan bytes) : bytes_(bytes) {}
  bool empty() const { return bytes_.empty(); }
  std::uint8_t U8() {
    if (bytes_.empty()) return 0;
    const std::uint8_t value = bytes_[0];
    bytes_ = bytes_.subspan(1);
    return value;
  }
  std::uint16_t U16() { return static_cast<std::uint16_t>(U8() | U8() << 8); }
  std::uint32_t U32() { return U16() | static_cast<std::uint32_t>(U16()) << 16; }
  std::uint64_t U64() { return U32() | static_cast<std::uint64_t>(U32()) << 32; }
  ByteSpan Some(std::size_t most) {
    const std::size_t wanted = U8();
    const ByteSpan taken = bytes_.first(std::min({bytes_.size(), most, wanted}));
    bytes_ = bytes_.subspan(taken.size());
    return taken;
  }

 private:
  ByteSpan bytes_;
};

// Without a file behind it, which would be half of the time.
SharedPage FastPage() {
  void* memory = ::mmap(nullptr, sizeof(StatusPage), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED);
  return SharedPage(static_cast<StatusPage*>(memory));
}

struct End {
  std::uint32_t handle = 0;
  StatusPage* page = nullptr;
  FrameDecoder decoder{1 << 20};
};

struct Held {
  std::uint32_t slot;
  std::uint32_t ticket;
};

class Program {
 public:
  explicit Program(ByteSpan bytes) : in_(bytes), options_(Options(in_)), d_(options_) { d_.set_now(now_us_); }

  void Run() {
    for (std::size_t step = 0; step < kMaxSteps && !in_.empty(); ++step) {
      Step();
      Check();
    }
    Finish();
  }

 private:
  static DispatcherOptions Options(Input& in) {
    DispatcherOptions options;
    const std::uint8_t flags = in.U8();
    options.levels = 1 + flags % 4;
    options.concurrency = 1 + (flags >> 2) % 4;
    options.prefetch = (flags >> 4) % 4;
    options.grace_us = (flags & 0x40) != 0 ? 0 : 5000;
    options.max_queue = (flags & 0x80) != 0 ? 2 : ~std::uint64_t{0};
    options.places = (flags & 0x0C) == 0x0C ? 2 : 0;
    options.inbox_mark = 3;
    options.max_frame_bytes = 600;
    return options;
  }

  void Step() {
    End& end = ends_[in_.U8() % kEnds];
    switch (in_.U8() % 23) {
      case 0: {
        if (d_.Find(end.handle) != nullptr) return;
        const std::uint8_t how = in_.U8();
        const std::uint8_t kind = how % 8;
        const std::uint32_t worker = 1 + in_.U8() % 3;
        end = {};
        if (kind == 4) {
          end.handle = d_.ConnectRemote(worker);
          return;
        }
        SharedPage page = kind == 0 ? nullptr : FastPage();
        end.page = page.get();
        end.handle = d_.Connect(worker, std::move(page), how / 8 % 3);
        return;
      }
      case 1:
        if (d_.Find(end.handle) != nullptr) return;
        end = {};
        end.handle = d_.ConnectForeign(4 + in_.U8() % 3);
        return;
      case 2:
        d_.Receive(end.handle, in_.Some(64));
        return;
      case 3:
        Frame(end, in_.U8(), in_.Some(40));
        return;
      case 4: {
        const std::uint8_t hello[kHelloFields] = {static_cast<std::uint8_t>(kProtocolVersion)};
        Frame(end, kHello, hello);
        return;
      }
      case 5:
        Done(end);
        return;
      case 6:
        Schedule(end);
        return;
      case 7:
        Frame(end, in_.U8() % 2 == 0 ? kNext : kDone, {});
        return;
      case 8:
        Frame(end, kMessage, in_.Some(16));
        return;
      case 9:
        Claim(end);
        return;
      case 10:
        if (end.page != nullptr) Garbage(*end.page);
        return;
      case 11:
        Submit();
        return;
      case 12:
        if (in_.U8() % 4 == 0) d_.SendTo(in_.U8() % (kTickets + 2), in_.Some(40));
        Cancel();
        return;
      case 13:
        Answer(in_.U8());
        return;
      case 14:
        d_.set_now(now_us_ += in_.U16());
        return;
      case 15:
        d_.Suspend(end.handle, in_.U8() % 2 == 0);
        return;
      case 16:
        Disconnect(end);
        return;
      case 17:
        d_.SendClose(end.handle, in_.U8() % 2 == 0);
        return;
      case 18:
        d_.WatchStuck();
        return;
      case 19:
        d_.RecallStuck();
        return;
      case 20:
        Rare(end);
        return;
      case 21:
        Number(end);
        return;
      default:
        Turn();
        return;
    }
  }

  void Rare(End& end) {
    switch (in_.U8() % 9) {
      case 8:
        d_.set_expects_local(in_.U8() % 2 == 0);
        return;
      case 0:
        d_.Drop();
        return;
      case 1:
        d_.DiscardMessages();
        return;
      case 2:
        d_.AcknowledgeAll();
        return;
      case 3:
        d_.set_report_all(in_.U8() % 2 == 0);
        return;
      case 4:
        d_.Post(in_.Some(16));
        return;
      case 5:
        d_.SendHello(end.handle, in_.Some(16));
        return;
      case 6:
        ReadAll(d_.inbox());
        return;
      default:
        // Handles and slots of no one.
        d_.Receive(in_.U32(), in_.Some(32));
        CHECK(!d_.Retry(kNoSlot - in_.U8(), 0));
        CHECK(d_.Find(end.handle + (1u << 30)) == nullptr);
        return;
    }
  }

  void Frame(End& end, std::uint8_t type, ByteSpan body) {
    Bytes out;
    std::copy(body.begin(), body.end(), AppendFrame(out, type, body.size()));
    d_.Receive(end.handle, out.span());
  }

  // The number of a task that it was sent, mostly.
  std::uint32_t Sequence(const End& end) {
    const std::uint8_t which = in_.U8();
    const Connection* connection = d_.Find(end.handle);
    if (which >= 250 || connection == nullptr || connection->in_flight.empty()) return in_.U32();
    return connection->in_flight[which % connection->in_flight.size()].sequence;
  }

  void Done(End& end) {
    std::uint8_t body[kDoneFields + 1];
    std::uint8_t* at = Store(body, Sequence(end));
    at = Store(at, static_cast<std::uint8_t>(in_.U8() % 4));
    Store(at, in_.U32());
    Frame(end, kDone, ByteSpan(body).first(kDoneFields + in_.U8() % 2));
  }

  void Schedule(End& end) {
    std::uint8_t body[kScheduleFields + 1] = {};
    std::uint8_t* at = Store(body, std::uint32_t{in_.U8()});
    at = Store(at, std::uint32_t{in_.U8()});
    at = Store(at, std::uint32_t{in_.U8()});
    at = Store(at, std::uint16_t{in_.U8()});
    at = Store(at, in_.U8());
    at = Store(at, in_.U8());
    Store(at, Sequence(end));
    Frame(end, static_cast<std::uint8_t>(kSchedule + in_.U8() % 5), body);
  }

  // Of a task that it has scheduled, or another number.
  void Number(End& end) {
    const std::uint8_t which = in_.U8();
    std::uint8_t body[kNumberFields + 1] = {};
    Store(body, std::uint32_t{in_.U8()});
    const std::size_t size = which == 255 ? kNumberFields + 1 : kNumberFields;
    constexpr std::uint8_t kTypes[] = {kCancel, kAwait, kAwait, kLetter, kProgress};
    if (which % 5 == 4) Store(body, Sequence(end));
    Frame(end, kTypes[which % 5], ByteSpan(body).first(size));
  }

  void Claim(End& end) {
    if (end.page == nullptr) return;
    const std::uint32_t sequence = Sequence(end);
    RunLane& lane = end.page->lanes[in_.U8() % 4];
    const std::uint8_t how = in_.U8();
    lane.Begin(sequence, now_us_);
    if (!end.page->claim.Claim(sequence)) lane.End();
    if (how % 4 != 0) return;
    end.page->ended.Ended(sequence);
    lane.End();
  }

  void Garbage(StatusPage& page) {
    switch (in_.U8() % 4) {
      case 0:
        page.claim.Recall(in_.U32());
        return;
      case 1:
        page.claim.Extend(in_.U32());
        return;
      case 2:
        page.lanes[in_.U8() % 4].Begin(in_.U8(), in_.U64());
        return;
      default:
        page.ended.Ended(in_.U8());
        return;
    }
  }

  void Submit() {
    const std::uint32_t first = in_.U8();
    for (std::uint32_t i = 0; i < kTickets; ++i) {
      const std::uint32_t ticket = (first + i) % kTickets;
      if (live_[ticket]) continue;
      Submission submission;
      submission.id = in_.U8();
      submission.ticket = ticket;
      submission.level = in_.U8() % d_.levels();
      submission.flags = in_.U8() & kOwnersFlags;
      submission.max_retries = in_.U8() % 4;
      const std::uint8_t crashes = in_.U8();
      submission.max_crashes = crashes % 3;
      submission.place = crashes / 64;
      submission.timeout_ms = in_.U8() % 16;
      submission.deadline_ms = in_.U8() % 32;
      live_[ticket] = true;
      CHECK(d_.Submit(submission, in_.Some(700)));
      return;
    }
  }

  void Cancel() {
    const std::uint32_t ticket = in_.U8() % (kTickets + 2);
    const CancelOutcome outcome = d_.Cancel(ticket);
    if (ticket >= kTickets || !live_[ticket]) CHECK(outcome == CancelOutcome::kUnknown);
  }

  // The owner's word on one of the tasks that are held.
  void Answer(std::uint8_t how) {
    ReadRecords();
    if (held_.empty()) return;
    const std::size_t which = in_.U8() % held_.size();
    const Held held = held_[which];
    held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(which));
    if (how % 2 == 0) {
      CHECK(d_.Retry(held.slot, how < 64 ? 0 : std::uint64_t{how} * 100));
      CHECK(!d_.Retry(held.slot, 0));
      return;
    }
    const LostOutcome outcome = d_.JudgeLost(held.slot, how % 8 == 1);
    d_.SettleLost(held.slot, outcome, in_.Some(8));
    switch (outcome) {
      case LostOutcome::kUnknown:
        CHECK(false);
        return;
      case LostOutcome::kRetry:
        held_.push_back(held);
        return;
      case LostOutcome::kFailed:
      case LostOutcome::kPoison:
        EndOf(held.ticket);
        return;
      default:
        return;  // a record follows
    }
  }

  void Disconnect(End& end) {
    const bool known = d_.Find(end.handle) != nullptr;
    CHECK_EQ(d_.Disconnect(end.handle), known);
    end.page = nullptr;
  }

  void Turn() {
    d_.Dispatch();
    CHECK(d_.next_due() == 0 || d_.next_due() > now_us_);
    d_.Flush([&](Connection& connection) {
      const Bytes bytes = connection.output.Take();
      for (End& end : ends_) {
        if (end.handle != connection.handle) continue;
        CHECK(end.decoder.Push(bytes.span(), [](std::uint8_t, ByteSpan) { return true; }) == DecodeResult::kOk);
        CHECK(end.decoder.AtBoundary());
      }
    });
    ReadRecords();
  }

  void EndOf(std::uint32_t ticket) {
    if (ticket == kNoTicket) return;
    CHECK(live_[ticket]);
    live_[ticket] = false;
  }

  void ReadRecords() {
    for (const Read& read : ReadAll(d_.completions())) {
      const Record& record = read.record;
      switch (static_cast<RecordKind>(static_cast<std::uint8_t>(record.kind) & ~kForeignPayload)) {
        case RecordKind::kLost:
        case RecordKind::kLostResult:
        case RecordKind::kRetry:
          held_.push_back({record.slot, record.ticket});
          break;
        case RecordKind::kStopping:
        case RecordKind::kProgress:
          CHECK(live_[record.ticket]);
          break;
        case RecordKind::kReady:
        case RecordKind::kStartFailed:
        case RecordKind::kUnresponsive:
        case RecordKind::kWorkerExit:
          break;
        case RecordKind::kValue:
        case RecordKind::kError:
        case RecordKind::kCancelled:
        case RecordKind::kTimeout:
        case RecordKind::kDeadline:
          EndOf(record.ticket);
          break;
        default:
          CHECK(false);
      }
    }
  }

  void Check() {
    CheckSums(d_);
    std::uint64_t in_flight = 0;
    for (const End& end : ends_) {
      const Connection* connection = d_.Find(end.handle);
      if (connection == nullptr) continue;
      in_flight += connection->in_flight.size();
      CHECK(!connection->remote || connection->in_flight.size() <= options_.concurrency);
      CHECK(connection->stopping <= connection->in_flight.size());
      CHECK(!connection->condemned || connection->stopping > 0);
    }
    CHECK_EQ(d_.counts().sent, in_flight);
    CHECK(d_.backlog() <= d_.counts().waiting);
  }

  // Everything ends, whatever came before.
  void Finish() {
    for (End& end : ends_) Disconnect(end);
    d_.Drop();
    Turn();
    while (!held_.empty()) Answer(9);
    ReadRecords();
    Check();
    CHECK_EQ(d_.counts().Left(), 0u);
    CHECK_EQ(d_.next_due(), 0u);
    for (std::uint32_t place = 1; place < 4; ++place) CHECK(d_.TicketsAt(place).empty());
    for (const bool live : live_) CHECK(!live);
  }

  Input in_;
  const DispatcherOptions options_;
  Dispatcher d_;
  std::uint64_t now_us_ = 1'000'000;
  std::array<End, kEnds> ends_;
  std::array<bool, kTickets> live_{};
  std::vector<Held> held_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Program(ByteSpan(data, size)).Run();
  return 0;
}
