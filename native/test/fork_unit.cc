// Tasks that wait for tasks which they have scheduled.

#include "attempts_harness.h"

namespace {

using namespace bosun;
using namespace bosun::test;

struct Scene {
  explicit Scene(const DispatcherOptions& options = Options()) : d(options) { d.set_now(kStart); }
  Dispatcher d;
  FakeWorker w{d, 1};

  void Turn() { test::Turn(d, {&w}); }
  std::string Sent() {
    Turn();
    return Payloads(w.Tasks());
  }
};

// With one worker and one place the tree runs from its deepest leaf up, and nothing else gets in between.
void TestTheLastChildRunsFirstInThePlaceOfTheOneThatWaits() {
  Scene s;
  Submit(s.d, 1, 0, "root");
  Submit(s.d, 1, 1, "other");
  const Task root = Begin(s.d, s.w, kStart);
  for (std::uint32_t i = 1; i <= 3; ++i) {
    CHECK(s.w.Fork(1, i, "child" + std::to_string(i), root.sequence) == Fault::kNone);
  }
  const Task child = Begin(s.d, s.w, kStart);
  CHECK_EQ(child.payload, std::string("child3"));
  CHECK_EQ(child.flags, kTaskForked);
  CHECK(s.w.Fork(1, 4, "leaf", child.sequence) == Fault::kNone);
  const Task leaf = Begin(s.d, s.w, kStart);
  CHECK_EQ(leaf.payload, std::string("leaf"));
  CHECK(Finish(s.w, leaf, DoneStatus::kValue, "of leaf") == Fault::kNone);
  // Its parent goes on, and has its place again.
  CHECK_EQ(s.Sent(), std::string());
  CHECK_EQ(s.w.Results(), std::string("4=value:of leaf "));
  CHECK(Finish(s.w, child, DoneStatus::kError, "bad") == Fault::kNone);
  CHECK_EQ(s.Sent(), std::string("child2 "));
  CHECK_EQ(s.w.Results(), std::string("3=error:bad "));
  CheckSums(s.d);
}

void TestOthersThatWereSentAheadAreTakenBack() {
  Scene s(Options(4));
  for (std::uint32_t i = 0; i < 4; ++i) Submit(s.d, 1, i, "t" + std::to_string(i));
  s.Turn();
  const std::vector<Task> tasks = s.w.Tasks();
  CHECK_EQ(tasks.size(), 4u);
  CHECK(s.w.Claim(tasks[0]));
  CHECK(s.w.Fork(1, 1, "fork", tasks[0].sequence) == Fault::kNone);
  CHECK(!s.w.Claim(tasks[1]));
  CHECK_EQ(s.d.counts().recalled, 3u);
  const Task fork = Begin(s.d, s.w, kStart);
  CHECK_EQ(fork.payload, std::string("fork"));
  CHECK(Finish(s.w, fork) == Fault::kNone);
  s.Turn();
  CHECK_EQ(Payloads(s.w.Tasks()), std::string("t1 t2 t3 "));
  CheckSums(s.d);
}

// Two workers: the idle one gets the fork too, and an urgent task goes before it there.
void TestForksGoBeforeTheirLevelOnly() {
  Scene s;
  Submit(s.d, 1, 0, "root");
  const Task root = Begin(s.d, s.w, kStart);
  CHECK(s.w.Fork(1, 1, "fork", root.sequence) == Fault::kNone);
  Submit(s.d, 1, 1, "other");
  Submit(s.d, 0, 2, "urgent");
  FakeWorker b(s.d, 2);
  Turn(s.d, {&s.w, &b});
  CHECK_EQ(Payloads(b.Tasks()), std::string("urgent "));
  CHECK_EQ(Payloads(s.w.Tasks()), std::string("fork "));
}

void TestAResultThatIsAskedForLater() {
  Scene s(Options(1, 2));
  Submit(s.d, 1, 0, "root");
  const Task root = Begin(s.d, s.w, kStart);
  CHECK(s.w.Schedule(1, 1, "quick", {}, root.sequence) == Fault::kNone);
  CHECK(s.w.Schedule(1, 2, "slow", {}, root.sequence) == Fault::kNone);
  CHECK(s.w.Schedule(1, 3, "never asked", {}, root.sequence) == Fault::kNone);
  const Task quick = Begin(s.d, s.w, kStart);
  CHECK_EQ(quick.flags, 0u);
  CHECK(Finish(s.w, quick, DoneStatus::kValue, "early") == Fault::kNone);
  s.Turn();
  CHECK_EQ(s.w.Results(), std::string());
  CHECK(s.w.SayNumber(kAwait, 1) == Fault::kNone);
  // Twice is once, and what nobody knows is answered.
  CHECK(s.w.SayNumber(kAwait, 77) == Fault::kNone);
  const Task slow = Begin(s.d, s.w, kStart);
  CHECK_EQ(s.w.Results(), std::string("1=value:early 77=unknown: "));
  CHECK(s.w.SayNumber(kAwait, 2) == Fault::kNone);
  CHECK(s.w.SayNumber(kAwait, 2) == Fault::kNone);
  CHECK(Finish(s.w, slow, DoneStatus::kValue, "late") == Fault::kNone);
  s.Turn();
  CHECK_EQ(s.w.Results(), std::string("2=value:late "));
  CHECK(Finish(s.w, root) == Fault::kNone);
  CHECK(s.w.SayNumber(kAwait, 3) == Fault::kNone);
  s.Turn();
  CHECK_EQ(s.w.Results(), std::string("3=unknown: "));
  CheckSums(s.d);
}

// It waits in the queue when its parent asks: it goes to the front, and its old place there is nobody's.
void TestAnAwaitedTaskOvertakes() {
  Scene s;
  Submit(s.d, 1, 0, "root");
  const Task root = Begin(s.d, s.w, kStart);
  Submit(s.d, 1, 1, "other");
  CHECK(s.w.Schedule(1, 1, "child", {}, root.sequence) == Fault::kNone);
  CHECK_EQ(s.Sent(), std::string());
  CHECK(s.w.SayNumber(kAwait, 1) == Fault::kNone);
  CHECK_EQ(s.d.tombstones(), 1u);
  const Task child = Begin(s.d, s.w, kStart);
  CHECK_EQ(child.payload, std::string("child"));
  CHECK(Finish(s.w, child) == Fault::kNone);
  CHECK(Finish(s.w, root) == Fault::kNone);
  const Task other = Begin(s.d, s.w, kStart);
  CHECK_EQ(other.payload, std::string("other"));
  CHECK(Finish(s.w, other) == Fault::kNone);
  CHECK_EQ(s.Sent(), std::string());
  CHECK_EQ(s.d.tombstones(), 0u);
  CHECK_EQ(s.d.counts().done, 3u);
  CheckSums(s.d);
}

// Dropped in both of its places, and the slot is used again once.
void TestAnAwaitedTaskIsCancelled() {
  Scene s;
  Submit(s.d, 1, 0, "root");
  const Task root = Begin(s.d, s.w, kStart);
  CHECK(s.w.Schedule(1, 1, "child", {}, root.sequence) == Fault::kNone);
  CHECK(s.w.SayNumber(kAwait, 1) == Fault::kNone);
  CHECK(s.w.SayNumber(kCancel, 1) == Fault::kNone);
  CHECK(s.w.SayNumber(kCancel, 1) == Fault::kNone);
  CHECK_EQ(s.Sent(), std::string());
  CHECK_EQ(s.w.Results(), std::string("1=cancelled: "));
  CHECK_EQ(s.d.tombstones(), 0u);
  for (std::uint32_t i = 1; i < 5; ++i) Submit(s.d, 1, i, "t" + std::to_string(i));
  CHECK(Finish(s.w, root) == Fault::kNone);
  for (std::uint32_t i = 1; i < 5; ++i) CHECK(Finish(s.w, Begin(s.d, s.w, kStart)) == Fault::kNone);
  CHECK_EQ(s.d.counts().done, 5u);
  CheckSums(s.d);
}

void TestWhoeverIsToldToStopNoLongerWaits() {
  Scene s;
  Submit(s.d, 1, 0, "root");
  const Task root = Begin(s.d, s.w, kStart);
  CHECK(s.w.Fork(1, 1, "queued", root.sequence) == Fault::kNone);
  CHECK(s.w.Fork(1, 2, "running", root.sequence) == Fault::kNone);
  CHECK(s.w.Schedule(1, 3, "of its own", {}, root.sequence) == Fault::kNone);
  const Task running = Begin(s.d, s.w, kStart);
  CHECK(s.d.Cancel(0) == CancelOutcome::kAsked);
  CHECK(s.w.Stopped(running) == StopReason::kCancelled);
  s.Turn();
  CHECK_EQ(s.w.Results(), std::string("x x 1=cancelled: "));
  CHECK(Finish(s.w, running, DoneStatus::kCancelled) == Fault::kNone);
  CHECK(Finish(s.w, root, DoneStatus::kCancelled) == Fault::kNone);
  CHECK_EQ(s.Sent(), std::string("of its own "));
  CHECK_EQ(s.w.Results(), std::string("2=cancelled: "));
  CheckSums(s.d);
}

// A child that was told to stop and does not: who waits hears of it in a moment.
void TestAStubbornChildKeepsNobodyWaiting() {
  Scene s;
  Submit(s.d, 1, 0, "root");
  const Task root = Begin(s.d, s.w, kStart);
  CHECK(s.w.Fork(1, 1, "child", root.sequence, {.timeout_ms = 10}) == Fault::kNone);
  const Task child = Begin(s.d, s.w, kStart);
  s.d.set_now(kStart + 10 * kMs);
  s.Turn();
  s.d.set_now(kStart + 10 * kMs + kMomentUs);
  s.Turn();
  CHECK_EQ(s.w.Results(), std::string("x 1=timeout: "));
  CHECK(Finish(s.w, child, DoneStatus::kValue, "too late") == Fault::kNone);
  s.Turn();
  CHECK_EQ(s.w.Results(), std::string());
  CHECK(Finish(s.w, root) == Fault::kNone);
  CHECK_EQ(s.d.counts().failed, 1u);
  CheckSums(s.d);
}

void TestWhoWaitsIsToldOfALostChild() {
  Scene s;
  FakeWorker b(s.d, 2);
  Submit(s.d, 1, 0, "root");
  Turn(s.d, {&s.w, &b});
  std::vector<Task> tasks = s.w.Tasks();
  FakeWorker& parent = tasks.empty() ? b : s.w;
  FakeWorker& other = tasks.empty() ? s.w : b;
  if (tasks.empty()) tasks = b.Tasks();
  CHECK(parent.Claim(tasks[0]));
  CHECK(parent.Fork(1, 1, "child", tasks[0].sequence) == Fault::kNone);
  CHECK(parent.Fork(1, 2, "second", tasks[0].sequence) == Fault::kNone);
  Turn(s.d, {&s.w, &b});
  const std::vector<Task> there = other.Tasks();
  CHECK_EQ(there.size(), 1u);
  CHECK(other.Claim(there[0]));
  ReadAll(s.d.completions());
  CHECK(s.d.Disconnect(other.connection()));
  const Record lost = HeldOf(s.d);
  CHECK_EQ(lost.ticket, kNoTicket);
  CHECK_EQ(s.d.JudgeLost(lost.slot, false), LostOutcome::kFailed);
  // Nobody looks for its failure in the inbox: it has a promise.
  CHECK(!s.d.SettleLost(lost.slot, LostOutcome::kFailed, Span("why")));
  CHECK_EQ(s.d.inbox().count(), 0u);
  Turn(s.d, {&parent});
  const std::string number = there[0].payload == "child" ? "1" : "2";
  CHECK_EQ(parent.Results(), number + "=lost:why ");
  CheckSums(s.d);
}

// The children of a worker that dies run all the same; that one fails must not go unheard.
void TestOrphansAreRunAndTheirFailuresHeard() {
  Scene s;
  Submit(s.d, 1, 0, "root");
  const Task root = Begin(s.d, s.w, kStart);
  for (std::uint32_t i = 1; i <= 2; ++i) CHECK(s.w.Fork(1, i, "child", root.sequence) == Fault::kNone);
  CHECK(s.w.Schedule(1, 3, "unread", {}, root.sequence) == Fault::kNone);
  CHECK(s.d.Disconnect(s.w.connection()));
  CHECK_EQ(SettleLost(s.d, HeldOf(s.d).slot, false), LostOutcome::kFailed);
  FakeWorker b(s.d, 2);
  for (const DoneStatus status : {DoneStatus::kError, DoneStatus::kValue, DoneStatus::kError}) {
    CHECK(Finish(b, Begin(s.d, b, kStart), status, "bad") == Fault::kNone);
  }
  Turn(s.d, {&b});
  CHECK_EQ(KindsOf(ReadAll(s.d.inbox())), std::string("error error "));
  CHECK_EQ(b.Results(), std::string());
  CheckSums(s.d);
}

void TestWithoutGivingUpPlacesTheLastOneIsNotTaken() {
  DispatcherOptions options = Options();
  options.places = 2;
  Scene s(options);
  FakeWorker b(s.d, 2);
  Submit(s.d, 1, 0, "a");
  Submit(s.d, 1, 1, "b");
  Turn(s.d, {&s.w, &b});
  const Task first = s.w.Tasks().at(0);
  const Task second = b.Tasks().at(0);
  CHECK(s.w.Claim(first));
  CHECK(b.Claim(second));
  CHECK(s.w.Fork(1, 1, "child", first.sequence) == Fault::kNone);
  CHECK(b.Fork(1, 1, "no place is left", second.sequence) == Fault::kNone);
  CHECK(b.Schedule(1, 2, "later", {}, second.sequence) == Fault::kNone);
  CHECK(b.SayNumber(kAwait, 2) == Fault::kNone);
  Turn(s.d, {&s.w, &b});
  CHECK_EQ(b.Results(), std::string("1=deadlock: 2=deadlock: "));
  CHECK_EQ(Payloads(s.w.Tasks()), std::string());
  CHECK(Finish(b, second) == Fault::kNone);
  Turn(s.d, {&s.w, &b});
  CHECK_EQ(Payloads(b.Tasks()), std::string("child "));
  CheckSums(s.d);
}

// A thousand levels at one worker: as many suspended tasks, and no more.
void TestDepth() {
  Scene s;
  Submit(s.d, 1, 0, "0");
  std::vector<Task> stack{Begin(s.d, s.w, kStart)};
  for (std::uint32_t i = 1; i <= 1000; ++i) {
    CHECK(s.w.Fork(1, i, std::to_string(i), stack.back().sequence) == Fault::kNone);
    s.Turn();
    const std::vector<Task> sent = s.w.Tasks();
    CHECK_EQ(sent.size(), 1u);
    CHECK(s.w.Claim(sent[0], i, kStart));
    stack.push_back(sent[0]);
  }
  CHECK_EQ(s.d.counts().sent, 1001u);
  for (std::uint32_t lane = 1000; !stack.empty(); stack.pop_back(), --lane) {
    s.w.End(stack.back(), lane);
    CHECK(s.w.Done(stack.back().sequence, DoneStatus::kValue, 5000, "up") == Fault::kNone);
  }
  CHECK_EQ(s.d.counts().done, 1001u);
  CheckSums(s.d);
}

// To a task that waits, one that was sent ahead, one that runs, and one that is run again.
TEST(LettersReachATaskWhereverItIs) {
  Scene s(Options(2));
  Submit(s.d, 1, 0, "a");
  Submit(s.d, 1, 1, "b", 0, Retries(1));
  CHECK(s.d.SendTo(0, Span("1")));
  CHECK(!s.d.SendTo(7, Span("nobody")));
  s.Turn();
  const std::vector<Task> tasks = s.w.Tasks();
  CHECK_EQ(tasks.size(), 2u);
  CHECK(s.w.Claim(tasks[0]));
  CHECK(s.d.SendTo(0, Span("2")));
  CHECK(s.d.SendTo(1, Span("3")));
  s.Turn();
  CHECK_EQ(s.w.Letters(), std::string("1:1 1:2 2:3 "));
  s.d.Suspend(s.w.connection(), true);
  s.d.Suspend(s.w.connection(), false);
  s.Turn();
  const std::vector<Task> again = s.w.Tasks();
  CHECK_EQ(Payloads(again), std::string("b "));
  CHECK_EQ(s.w.Letters(), std::string("3:3 "));
  CHECK(Finish(s.w, tasks[0]) == Fault::kNone);
  CHECK(!s.d.SendTo(0, Span("late")));
  CHECK(s.w.Claim(again[0]));
  CHECK(s.d.SendTo(1, Span("4")));
  CHECK(s.d.Disconnect(s.w.connection()));
  const Record lost = HeldOf(s.d);
  CHECK(s.d.JudgeLost(lost.slot, false) == LostOutcome::kFailed);
  s.d.SettleLost(lost.slot, LostOutcome::kFailed, {});
  CheckSums(s.d);
}

TEST(ProgressGoesToWhoeverHasScheduledTheTask) {
  Scene s;
  Submit(s.d, 1, 0, "root");
  const Task root = Begin(s.d, s.w, kStart);
  CHECK(s.w.Fork(1, 9, "child", root.sequence) == Fault::kNone);
  const Task child = Begin(s.d, s.w, kStart);
  ReadAll(s.d.completions());
  CHECK(s.w.SayNumber(kProgress, root.sequence, "half") == Fault::kNone);
  CHECK(s.w.SayNumber(kProgress, child.sequence, "quarter") == Fault::kNone);
  CHECK(s.w.SayNumber(kLetter, 9, "hurry") == Fault::kNone);
  CHECK(s.w.SayNumber(kProgress, 77, "of nobody") == Fault::kBadSequence);
  const std::vector<Read> records = ReadAll(s.d.completions());
  CHECK_EQ(KindsOf(records), std::string("progress "));
  CHECK_EQ(records[0].payload, std::string("half"));
  CHECK_EQ(records[0].record.ticket, 0u);
  s.Turn();
  CHECK_EQ(s.w.Letters(), std::string("p9:quarter 2:hurry "));
}

}  // namespace

int main() {
  TestTheLastChildRunsFirstInThePlaceOfTheOneThatWaits();
  TestOthersThatWereSentAheadAreTakenBack();
  TestForksGoBeforeTheirLevelOnly();
  TestAResultThatIsAskedForLater();
  TestAnAwaitedTaskOvertakes();
  TestAnAwaitedTaskIsCancelled();
  TestWhoeverIsToldToStopNoLongerWaits();
  TestAStubbornChildKeepsNobodyWaiting();
  TestWhoWaitsIsToldOfALostChild();
  TestOrphansAreRunAndTheirFailuresHeard();
  TestWithoutGivingUpPlacesTheLastOneIsNotTaken();
  TestDepth();
}
