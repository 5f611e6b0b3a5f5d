// The driver with real streams and threads: an owner that comes by, is blocked, or ends in the middle of everything.
// Needs libuv, which Node brings along and the system may not have.

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "io/driver.h"
#include "process/clock.h"
#include "process/socket.h"

namespace {

using namespace bosun;

// A worker: a thread that claims and answers what it is sent, until it is told to close or the other end is gone.
class Worker {
 public:
  explicit Worker(LocalLink& link, std::uint32_t run_us = 0)
      : stream_(std::move(link.child_end), RingsOf(link), Stream::End::kWorker),
        page_(MapPage(link.page_file.get())),
        run_us_(run_us) {
    CHECK(page_ != nullptr);
    thread_ = std::thread([this] { Run(); });
  }
  ~Worker() {
    ::shutdown(stream_.socket(), SHUT_RDWR);
    thread_.join();
  }

  static SharedRings RingsOf(const LocalLink& link) {
    SharedRings rings;
    CHECK(MapRings(link.page_file.get(), rings));
    return rings;
  }

  std::uint64_t ended() const { return ended_.load(); }

 private:
  void Run() {
    Bytes out;
    std::uint8_t* at = AppendFrame(out, kHello, kHelloFields);
    Store(Store(Store(at, kProtocolVersion), std::uint16_t{0}), std::uint32_t{1});
    FrameDecoder decoder{64 << 20};
    std::vector<std::uint8_t> memory(64 << 10);
    for (bool open = Send(out); open;) {
      const ssize_t length = stream_.Receive(memory);
      if (length < 0) return;
      if (length == 0) {
        if (stream_.Rest()) Sleep();
        continue;
      }
      decoder.Push(ByteSpan(memory.data(), static_cast<std::size_t>(length)), [&](std::uint8_t type, ByteSpan body) {
        if (type == kClose) open = false;
        if (type == kTask) Answer(body, out);
        return true;
      });
      // What was taken back: it has nothing to do now.
      if (std::exchange(refused_, false)) AppendFrame(out, kNext, 0);
      open = Send(out) && open;
    }
  }

  void Answer(ByteSpan body, Bytes& out) {
    const std::uint32_t sequence = Load<std::uint32_t>(body.data());
    if (!page_->claim.Claim(sequence)) {
      refused_ = true;
      return;
    }
    if (run_us_ > 0) std::this_thread::sleep_for(std::chrono::microseconds(run_us_));
    CHECK(body.size() >= kTaskFields);
    const ByteSpan payload = body.subspan(kTaskFields);
    std::uint8_t* at = AppendFrame(out, kDone, kDoneFields + payload.size());
    at = Store(Store(Store(at, sequence), DoneStatus::kValue), run_us_);
    if (!payload.empty()) std::memcpy(at, payload.data(), payload.size());
    page_->ended.Ended(sequence);
    ended_.fetch_add(1);
    // One that takes its time does not keep results.
    if (run_us_ > 0) Send(out);
  }

  bool Send(Bytes& out) {
    std::size_t sent = 0;
    bool is_open = true;
    while (is_open && sent < out.size()) {
      iovec parts[] = {PartOf(out.span().subspan(sent))};
      const ssize_t taken = stream_.Send(parts);
      is_open = taken > 0 || (taken == 0 && stream_.AwaitRoom(-1));
      if (taken > 0) sent += static_cast<std::size_t>(taken);
    }
    out.Clear();
    return is_open;
  }

  void Sleep() {
    pollfd watched{stream_.socket(), POLLIN, 0};
    ::poll(&watched, 1, -1);
    stream_.Heed();
  }

  Stream stream_;
  SharedPage page_;
  const std::uint32_t run_us_;
  bool refused_ = false;
  std::atomic<std::uint64_t> ended_{0};
  std::thread thread_;
};

// The owner, with an event loop of one poll.
class Owner {
 public:
  Owner(std::uint32_t workers, bool direct, std::uint32_t run_us = 0, std::uint32_t prefetch = 0, bool in_memory = true)
      : direct_(direct), in_memory_(in_memory) {
    int ends[2];
    CHECK(OpenPipe(ends));
    bell_read_ = UniqueFd(ends[0]);
    bell_write_ = UniqueFd(ends[1]);
    DispatcherOptions options;
    options.prefetch = prefetch;
    options.cores = 2;
    driver_ = std::make_unique<Driver>(options, direct, &Owner::Ring, this);
    CHECK(driver_->is_open());
    driver_->Start();
    for (std::uint32_t i = 1; i <= workers; ++i) AddWorker(i, run_us);
  }
  ~Owner() {
    driver_->Stop();
    workers_.clear();
  }

  std::uint32_t AddWorker(std::uint32_t number, std::uint32_t run_us) {
    LocalLink link;
    CHECK(OpenLocalLink(link, in_memory_));
    Driver::Turn turn(*driver_);
    const std::uint32_t connection = turn->Connect(number, std::move(link.page));
    CHECK(turn.Attach(connection, {std::move(link.parent_end), std::move(link.rings), Stream::End::kManager}));
    turn->SendHello(connection, {});
    watched_ = turn.Advance();
    connections_.push_back(connection);
    workers_.push_back(std::make_unique<Worker>(link, run_us));
    return connection;
  }

  void Submit(std::uint32_t count, std::size_t bytes = 8, std::uint32_t level = 1) {
    Driver::Turn turn(*driver_);
    for (std::uint32_t i = 0; i < count; ++i) {
      Submission submission;
      submission.ticket = tickets_++;
      submission.id = submission.ticket;
      submission.level = level;
      std::vector<std::uint8_t> payload(bytes, static_cast<std::uint8_t>(submission.ticket));
      CHECK(turn->Submit(submission, payload));
    }
    watched_ = turn.Advance();
  }

  // One round of the loop. Returns the tasks that have ended in it.
  std::uint32_t Poll(int timeout_ms) {
    pollfd watched[2] = {{bell_read_.get(), POLLIN, 0}, {watched_ ? driver_->descriptor() : -1, POLLIN, 0}};
    ::poll(watched, 2, timeout_ms);
    if ((watched[0].revents & POLLIN) != 0) {
      std::uint8_t byte;
      CHECK_EQ(::read(bell_read_.get(), &byte, 1), 1);
    }
    Driver::Turn turn(*driver_);
    if ((watched[1].revents & POLLIN) != 0) turn.Serve();
    watched_ = turn.Advance();
    turn.TakeNews();
    return ReadRecords(turn);
  }

  // Until everything has ended.
  void Finish() {
    while (ended_ < tickets_) Poll(1000);
  }

  std::uint64_t WorkersEnded() const {
    std::uint64_t sum = 0;
    for (const auto& worker : workers_) sum += worker->ended();
    return sum;
  }

  Driver& driver() { return *driver_; }
  std::uint32_t ended() const { return ended_; }
  std::uint32_t closed() const { return closed_; }
  std::uint32_t attached() const { return attached_; }
  std::vector<std::uint32_t>& connections() { return connections_; }

 private:
  static void Ring(void* self) {
    const std::uint8_t byte = 1;
    CHECK_EQ(::write(static_cast<Owner*>(self)->bell_write_.get(), &byte, 1), 1);
  }

  std::uint32_t ReadRecords(Driver::Turn& turn) {
    std::uint32_t count = 0;
    // With what is attached it is more than is drained.
    std::vector<std::uint8_t> memory(turn->completions().bytes());
    memory.resize(turn->completions().Drain(memory));
    for (std::size_t at = 0; at < memory.size();) {
      Record record;
      std::memcpy(&record, &memory[at], sizeof record);
      ByteSpan payload(&memory[at + sizeof record], record.length);
      at += sizeof record + record.length;
      RecordQueue::Attachment attachment;
      if ((static_cast<std::uint8_t>(record.kind) & 0x80) != 0) {
        record.kind = static_cast<RecordKind>(static_cast<std::uint8_t>(record.kind) & 0x7F);
        attachment = turn->completions().TakeAttached();
        payload = attachment.memory.span().subspan(attachment.offset);
        CHECK(payload.size() >= RecordQueue::kLong);
        ++attached_;
      }
      switch (record.kind) {
        case RecordKind::kValue:
          CHECK(seen_.emplace(record.ticket, true).second);
          for (const std::uint8_t byte : payload) CHECK_EQ(byte, static_cast<std::uint8_t>(record.ticket));
          ++count;
          break;
        case RecordKind::kLost:
        case RecordKind::kLostResult:
          CHECK(turn->JudgeLost(record.slot, false) == LostOutcome::kFailed);
          CHECK(!turn->SettleLost(record.slot, LostOutcome::kFailed, {}));
          CHECK(seen_.emplace(record.ticket, false).second);
          ++count;
          break;
        case RecordKind::kClosed:
          ++closed_;
          break;
        default:
          CHECK(record.kind == RecordKind::kReady);
      }
    }
    ended_ += count;
    return count;
  }

  const bool direct_;
  const bool in_memory_;
  UniqueFd bell_read_, bell_write_;
  std::unique_ptr<Driver> driver_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::uint32_t> connections_;
  std::map<std::uint32_t, bool> seen_;
  bool watched_ = true;
  std::uint32_t tickets_ = 0;
  std::uint32_t ended_ = 0;
  std::uint32_t closed_ = 0;
  std::uint32_t attached_ = 0;
};

std::uint32_t Scaled(double count) {
  const char* text = std::getenv("BOSUN_STRESS");
  return static_cast<std::uint32_t>(count * (text == nullptr ? 1.0 : std::atof(text)));
}

TEST(OneAfterTheOther) {
  for (const bool direct : {true, false}) {
    Owner owner(1, direct);
    for (std::uint32_t i = 0; i < Scaled(2000); ++i) {
      owner.Submit(1);
      owner.Finish();
    }
  }
}

TEST(ManyAtOnceOverBothModes) {
  for (const bool direct : {true, false}) {
    Owner owner(3, direct);
    for (int round = 0; round < 5; ++round) {
      owner.Submit(Scaled(20'000));
      owner.Finish();
    }
  }
}

TEST(TheOwnerIsBlockedAndTheWorkersGoOn) {
  Owner owner(2, true, 200);
  owner.Submit(4);
  owner.Finish();
  owner.Submit(200);
  // Nobody polls here.
  while (owner.WorkersEnded() < 204) std::this_thread::yield();
  owner.Finish();
}

TEST(TheOwnerIsBlockedWithEverythingInFlight) {
  // A window wide enough for all: there is no backlog, and the I/O thread has to find out by itself.
  Owner owner(1, true, 0, 256);
  owner.Submit(1);
  owner.Finish();
  for (int round = 0; round < 5; ++round) {
    owner.Submit(200);
    while (owner.WorkersEnded() < owner.ended() + 200) std::this_thread::yield();
    // What the worker scheduled, or the end of another, would be dispatched likewise: all of it is read.
    for (bool read = false; !read; std::this_thread::yield()) {
      Driver::Turn turn(owner.driver());
      read = turn->counts().sent == 0;
    }
    owner.Finish();
  }
}

TEST(BlockedAndResumedAThousandTimes) {
  std::mt19937 random(7);
  Owner owner(2, true, 50);
  for (std::uint32_t i = 0; i < Scaled(1000); ++i) {
    owner.Submit(random() % 6);
    if (random() % 2 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random() % 2000));
    owner.Poll(0);
  }
  owner.Finish();
}

TEST(LongPayloadsAndShortOnes) {
  for (const bool in_memory : {true, false}) {
    Owner owner(2, true, 0, 4, in_memory);
    for (int i = 0; i < 40; ++i) {
      owner.Submit(1, 3 << 20);
      owner.Submit(5, 100);
      owner.Poll(0);
    }
    owner.Finish();
    CHECK_EQ(owner.attached(), 40u);
  }
}

TEST(BytesThroughTheSocketAlone) {
  for (const bool direct : {true, false}) {
    Owner owner(2, direct, 0, 0, false);
    for (int round = 0; round < 5; ++round) {
      owner.Submit(Scaled(5'000));
      owner.Finish();
    }
  }
}

TEST(ConnectionsThatEndInTheMiddle) {
  for (const bool direct : {true, false}) {
    Owner owner(2, direct, 20);
    for (std::uint32_t i = 3; i < 20; ++i) {
      owner.Submit(100);
      owner.AddWorker(i, 20);
      owner.Poll(0);
      const std::uint32_t connection = owner.connections().front();
      owner.connections().erase(owner.connections().begin());
      Driver::Turn(owner.driver()).Detach(connection);
      owner.Poll(0);
      CHECK_EQ(owner.closed(), i - 2);
    }
    owner.Finish();
  }
}

TEST(StoppedWhileTasksAreInFlight) {
  for (int i = 0; i < 30; ++i) {
    Owner owner(2, i % 2 == 0, 100);
    owner.Submit(50);
    if (i % 3 == 0) owner.Poll(1);
  }
}

}  // namespace

int main() {
  // As in Node.
  ::signal(SIGPIPE, SIG_IGN);
  return bosun::test::RunAll();
}
