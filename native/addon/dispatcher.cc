// class Dispatcher for JavaScript: conversion only, see dispatch/dispatcher.h and io/driver.h.

#include "dispatch/dispatcher.h"

#include <cerrno>
#include <cmath>
#include <unordered_map>
#include <utility>
#include <vector>

#include "addon/classes.h"
#include "addon/convert.h"
#include "addon/owner_loop.h"
#include "io/driver.h"
#include "process/clock.h"

namespace bosun {
namespace {

class DispatcherWrap : public Napi::ObjectWrap<DispatcherWrap> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Dispatcher",
                       {
                           InstanceMethod<&DispatcherWrap::Submit>("submit"),
                           InstanceMethod<&DispatcherWrap::SubmitLong>("submitLong"),
                           InstanceMethod<&DispatcherWrap::Cancel>("cancel"),
                           InstanceMethod<&DispatcherWrap::TicketsAt>("ticketsAt"),
                           InstanceMethod<&DispatcherWrap::SendTo>("sendTo"),
                           InstanceMethod<&DispatcherWrap::JudgeLost>("judgeLost"),
                           InstanceMethod<&DispatcherWrap::SettleLost>("settleLost"),
                           InstanceMethod<&DispatcherWrap::Retry>("retry"),
                           InstanceMethod<&DispatcherWrap::Open>("open"),
                           InstanceMethod<&DispatcherWrap::OpenForeign>("openForeign"),
                           InstanceMethod<&DispatcherWrap::OpenRemote>("openRemote"),
                           InstanceMethod<&DispatcherWrap::ExpectLocal>("expectLocal"),
                           InstanceMethod<&DispatcherWrap::SetForeignPolicy>("setForeignPolicy"),
                           InstanceMethod<&DispatcherWrap::Suspend>("suspend"),
                           InstanceMethod<&DispatcherWrap::SendHello>("sendHello"),
                           InstanceMethod<&DispatcherWrap::SendClose>("sendClose"),
                           InstanceMethod<&DispatcherWrap::Receive>("receive"),
                           InstanceMethod<&DispatcherWrap::Worker>("worker"),
                           InstanceMethod<&DispatcherWrap::Turn>("turn"),
                           InstanceMethod<&DispatcherWrap::Detach>("detach"),
                           InstanceMethod<&DispatcherWrap::HangUp>("hangUp"),
                           InstanceMethod<&DispatcherWrap::Close>("close"),
                           InstanceMethod<&DispatcherWrap::Drop>("drop"),
                           InstanceMethod<&DispatcherWrap::Post>("post"),
                           InstanceMethod<&DispatcherWrap::AcknowledgeAll>("acknowledgeAll"),
                           InstanceMethod<&DispatcherWrap::DiscardMessages>("discardMessages"),
                           InstanceMethod<&DispatcherWrap::ReportAll>("reportAll"),
                           InstanceMethod<&DispatcherWrap::DrainCompletions>("drainCompletions"),
                           InstanceMethod<&DispatcherWrap::TakeAttached>("takeAttached"),
                           InstanceMethod<&DispatcherWrap::DrainInbox>("drainInbox"),
                           InstanceMethod<&DispatcherWrap::ReadCounts>("readCounts"),
                           InstanceMethod<&DispatcherWrap::ReadTallies>("readTallies"),
                           InstanceMethod<&DispatcherWrap::ReadLatency>("readLatency"),
                       });
  }

  // new Dispatcher(wake, direct, levels, maxFrameBytes, prefetch, inboxMark, concurrency, graceMs, maxQueue, cores,
  // places): wake() is called when there is something to read, or time for a turn; direct: see io/driver.h.
  explicit DispatcherWrap(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<DispatcherWrap>(info),
        env_(info.Env()),
        levels_(std::clamp(U32At(info, 2), 1u, 128u)),
        wake_(Napi::Persistent(info[0].As<Napi::Function>())),
        driver_(Options(info), BoolAt(info, 1), &DispatcherWrap::OnNews, this) {
    if (driver_.is_open()) {
      ears_ = OwnerLoop::Open(env_, driver_.descriptor(), &DispatcherWrap::OnReadable, &DispatcherWrap::OnRung, this);
    }
    if (ears_ == nullptr) {
      ThrowErrno(env_, EMFILE);
      return;
    }
    ears_->Watch(BoolAt(info, 1));
    driver_.Start();
    napi_add_async_cleanup_hook(env_, &DispatcherWrap::OnTeardown, this, &hook_);
    // The handles know it; Close lets go of it.
    Ref();
  }

  ~DispatcherWrap() override { lifelines_.clear(); }

 private:
  static DispatcherOptions Options(const Napi::CallbackInfo& info) {
    DispatcherOptions options;
    options.levels = std::clamp(U32At(info, 2), 1u, 128u);
    options.max_frame_bytes = static_cast<std::uint64_t>(NumberAt(info, 3));
    options.prefetch = U32At(info, 4);
    options.inbox_mark = U32At(info, 5);
    options.concurrency = std::clamp(U32At(info, 6), 1u, StatusPage::kMaxLanes);
    options.grace_us = static_cast<std::uint64_t>(U32At(info, 7)) * 1000;
    const double max_queue = NumberAt(info, 8, -1);
    if (max_queue >= 0 && max_queue < 1e15) options.max_queue = static_cast<std::uint64_t>(max_queue);
    options.cores = U32At(info, 9);
    options.places = U32At(info, 10);
    return options;
  }

  // ---- the owner's loop ---------------------------------------------------------

  // On the I/O thread.
  static void OnNews(void* self) { static_cast<DispatcherWrap*>(self)->ears_->Ring(); }

  static void OnReadable(void* self) {
    auto* wrap = static_cast<DispatcherWrap*>(self);
    {
      Driver::Turn turn(wrap->driver_);
      turn.Serve();
      if (!turn.HasNews()) wrap->ears_->Watch(turn.Advance());
      // Which may have done what was due.
      if (!turn.HasNews()) return;
    }
    wrap->Wake();
  }

  static void OnRung(void* self) { static_cast<DispatcherWrap*>(self)->Wake(); }

  void Wake() {
    const Napi::HandleScope scope(env_);
    CallBack(env_, nullptr, wake_.Value(), {});
  }

  // The environment ends, with the manager open.
  static void OnTeardown(napi_async_cleanup_hook_handle hook, void* self) {
    auto* wrap = static_cast<DispatcherWrap*>(self);
    wrap->driver_.Stop();
    wrap->lifelines_.clear();
    std::exchange(wrap->ears_, nullptr)
        ->Close(
            [](void* handle) { napi_remove_async_cleanup_hook(static_cast<napi_async_cleanup_hook_handle>(handle)); },
            hook);
  }

  // close(): ends the I/O thread, and every connection that is left. The counts can still be read.
  Napi::Value Close(const Napi::CallbackInfo& info) {
    if (ears_ == nullptr) return info.Env().Undefined();
    driver_.Stop();
    lifelines_.clear();
    napi_remove_async_cleanup_hook(hook_);
    std::exchange(ears_, nullptr)->Close(nullptr, nullptr);
    Unref();
    return info.Env().Undefined();
  }

  static constexpr std::size_t kFields = 32;
  static constexpr std::size_t kAlignment = 8;

  // The fields of a record: {length u32, ticket u32, id u64, level u8, flags u8, retries u16, timeout ms u32, deadline
  // ms u32, crashes u8, reserved u8, place u16}. False for what is none.
  bool ReadFields(ByteSpan bytes, Submission& submission, std::size_t& length) const noexcept {
    if (bytes.size() < kFields) return false;
    length = Load<std::uint32_t>(bytes.data());
    submission.ticket = Load<std::uint32_t>(bytes.data() + 4);
    submission.id = Load<std::uint64_t>(bytes.data() + 8);
    submission.level = bytes[16];
    submission.flags = bytes[17] & kOwnersFlags;
    submission.max_retries = Load<std::uint16_t>(bytes.data() + 18);
    submission.timeout_ms = Load<std::uint32_t>(bytes.data() + 20);
    submission.deadline_ms = Load<std::uint32_t>(bytes.data() + 24);
    submission.max_crashes = bytes[28];
    submission.place = Load<std::uint16_t>(bytes.data() + 30);
    return submission.level < levels_;
  }

  // submit(records): fields and payloads, each record at a multiple of 8. One that finds no slot is answered through
  // the completions.
  Napi::Value Submit(const Napi::CallbackInfo& info) {
    Driver::Turn turn(driver_);
    ByteSpan bytes = BytesAt(info, 0);
    while (!bytes.empty()) {
      Submission submission;
      std::size_t length = 0;
      if (!ReadFields(bytes, submission, length) || length > bytes.size() - kFields) {
        ThrowArgument(info.Env(), "a submission is malformed");
        break;
      }
      turn->Submit(submission, bytes.subspan(kFields, length));
      const std::size_t next = (kFields + length + kAlignment - 1) & ~(kAlignment - 1);
      bytes = bytes.subspan(std::min(next, bytes.size()));
    }
    return info.Env().Undefined();
  }

  // submitLong(fields, payload): the same of one whose payload lies elsewhere.
  Napi::Value SubmitLong(const Napi::CallbackInfo& info) {
    Submission submission;
    std::size_t length = 0;
    const ByteSpan payload = BytesAt(info, 1);
    if (!ReadFields(BytesAt(info, 0), submission, length) || length != payload.size()) {
      ThrowArgument(info.Env(), "a submission is malformed");
      return info.Env().Undefined();
    }
    Driver::Turn turn(driver_);
    turn->Submit(submission, payload);
    return info.Env().Undefined();
  }

  Napi::Value Cancel(const Napi::CallbackInfo& info) {
    Driver::Turn turn(driver_);
    return Napi::Number::New(info.Env(), static_cast<double>(turn->Cancel(U32At(info, 0))));
  }

  // ticketsAt(place): of the tasks of this place that have not ended.
  Napi::Value TicketsAt(const Napi::CallbackInfo& info) {
    std::vector<std::uint32_t> tickets;
    {
      Driver::Turn turn(driver_);
      tickets = turn->TicketsAt(U32At(info, 0));
    }
    Napi::Array result = Napi::Array::New(info.Env(), tickets.size());
    std::uint32_t i = 0;
    for (const std::uint32_t ticket : tickets) result.Set(i++, Napi::Number::New(info.Env(), ticket));
    return result;
  }

  // sendTo(ticket, letter): false when there is no such task.
  Napi::Value SendTo(const Napi::CallbackInfo& info) {
    Driver::Turn turn(driver_);
    return Napi::Boolean::New(info.Env(), turn->SendTo(U32At(info, 0), BytesAt(info, 1)));
  }

  // judgeLost(slot, dropped): see LostOutcome.
  Napi::Value JudgeLost(const Napi::CallbackInfo& info) {
    Driver::Turn turn(driver_);
    return Napi::Number::New(info.Env(), static_cast<double>(turn->JudgeLost(U32At(info, 0), BoolAt(info, 1))));
  }

  // settleLost(slot, outcome, error): true when it has a place in the inbox.
  Napi::Value SettleLost(const Napi::CallbackInfo& info) {
    Driver::Turn turn(driver_);
    const std::uint32_t outcome = std::min(U32At(info, 1), static_cast<std::uint32_t>(LostOutcome::kPoison));
    const ByteSpan error = BytesAt(info, 2);
    return Napi::Boolean::New(info.Env(), turn->SettleLost(U32At(info, 0), static_cast<LostOutcome>(outcome), error));
  }

  // retry(slot, delayMs): false when there is no such task.
  Napi::Value Retry(const Napi::CallbackInfo& info) {
    Driver::Turn turn(driver_);
    const double delay_us = std::clamp(NumberAt(info, 1, 0) * 1000, 0.0, 1e15);
    return Napi::Boolean::New(info.Env(), turn->Retry(U32At(info, 0), static_cast<std::uint64_t>(delay_us)));
  }

  // openForeign(worker): the connection, 0 when there are too many.
  Napi::Value OpenForeign(const Napi::CallbackInfo& info) {
    Driver::Turn turn(driver_);
    return Napi::Number::New(info.Env(), turn->ConnectForeign(U32At(info, 0)));
  }

  // openRemote(worker): likewise, for a worker on another host.
  Napi::Value OpenRemote(const Napi::CallbackInfo& info) {
    Driver::Turn turn(driver_);
    return Napi::Number::New(info.Env(), turn->ConnectRemote(U32At(info, 0)));
  }

  Napi::Value ExpectLocal(const Napi::CallbackInfo& info) {
    Driver::Turn turn(driver_);
    turn->set_expects_local(BoolAt(info, 0));
    return info.Env().Undefined();
  }

  // setForeignPolicy(timeoutMs, deadlineMs, retries, crashes, flags): see Submission.
  Napi::Value SetForeignPolicy(const Napi::CallbackInfo& info) {
    Driver::Turn turn(driver_);
    Submission policy;
    policy.timeout_ms = U32At(info, 0);
    policy.deadline_ms = U32At(info, 1);
    policy.max_retries = static_cast<std::uint16_t>(U32At(info, 2));
    policy.max_crashes = static_cast<std::uint8_t>(U32At(info, 3));
    policy.flags = static_cast<std::uint8_t>(U32At(info, 4)) & kOwnersFlags;
    turn->set_foreign_policy(policy);
    return info.Env().Undefined();
  }

  Napi::Value Suspend(const Napi::CallbackInfo& info) {
    Driver::Turn turn(driver_);
    turn->Suspend(U32At(info, 0), BoolAt(info, 1));
    return info.Env().Undefined();
  }

  // open(worker, native, place): [connection, child's end, page, child's lifeline, parent's end]; the descriptors are
  // the caller's. A native one is driven here from now on: its parent's end is not given away, and its end is a record.
  Napi::Value Open(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const bool is_native = BoolAt(info, 1);
    LocalLink link;
    if (!OpenLocalLink(link, is_native)) {
      ThrowErrno(env, errno);
      return env.Undefined();
    }
    Driver::Turn turn(driver_);
    const std::uint32_t connection = turn->Connect(U32At(info, 0), std::move(link.page), U32At(info, 2));
    if (connection == 0) {
      ThrowErrno(env, EMFILE);
      return env.Undefined();
    }
    if (is_native) {
      Stream stream(std::move(link.parent_end), std::move(link.rings), Stream::End::kManager);
      if (!turn.Attach(connection, std::move(stream))) {
        turn.Detach(connection);
        ThrowErrno(env, EMFILE);
        return env.Undefined();
      }
    }
    lifelines_.emplace(connection, std::move(link.parent_lifeline));
    const double values[] = {static_cast<double>(connection), static_cast<double>(link.child_end.Release()),
                             static_cast<double>(link.page_file.Release()),
                             static_cast<double>(link.child_lifeline.Release()),
                             static_cast<double>(link.parent_end.Release())};
    Napi::Array result = Napi::Array::New(env, std::size(values));
    std::uint32_t i = 0;
    for (const double value : values) result.Set(i++, Napi::Number::New(env, value));
    return result;
  }

  // detach(connection): ends it; of an attached one all that is there is read before.
  Napi::Value Detach(const Napi::CallbackInfo& info) {
    Driver::Turn turn(driver_);
    turn.Detach(U32At(info, 0));
    return info.Env().Undefined();
  }

  // hangUp(connection): its worker ends, if it has not yet.
  Napi::Value HangUp(const Napi::CallbackInfo& info) {
    lifelines_.erase(U32At(info, 0));
    return info.Env().Undefined();
  }

  Napi::Value SendHello(const Napi::CallbackInfo& info) {
    Driver::Turn turn(driver_);
    turn->SendHello(U32At(info, 0), BytesAt(info, 1));
    return info.Env().Undefined();
  }

  Napi::Value SendClose(const Napi::CallbackInfo& info) {
    Driver::Turn turn(driver_);
    turn->SendClose(U32At(info, 0), BoolAt(info, 1));
    return info.Env().Undefined();
  }

  // receive(connection, bytes): of one that is not attached.
  Napi::Value Receive(const Napi::CallbackInfo& info) {
    Driver::Turn turn(driver_);
    turn.Receive(U32At(info, 0), BytesAt(info, 1));
    return info.Env().Undefined();
  }

  // worker(connection, figures): in flight, window, tasks ended, average run time in microseconds. False when stale.
  Napi::Value Worker(const Napi::CallbackInfo& info) {
    Driver::Turn turn(driver_);
    const Connection* connection = turn->Find(U32At(info, 0));
    double* figures = Figures(info, 1, 4);
    if (connection == nullptr || figures == nullptr) return Napi::Boolean::New(info.Env(), false);
    figures[0] = static_cast<double>(connection->in_flight.size());
    figures[1] = connection->window;
    figures[2] = static_cast<double>(connection->tasks_ended);
    figures[3] = connection->average_us;
    return Napi::Boolean::New(info.Env(), true);
  }

  // turn(write): dispatches, then calls write(connection, bytes) for each connection that is not attached and has bytes
  // to write. Milliseconds until the next turn is due at the latest, -1 when nothing is, or the I/O thread sees to it.
  Napi::Value Turn(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    std::vector<std::pair<std::uint32_t, Bytes>> foreign;
    double wait_ms = -1;
    {
      Driver::Turn turn(driver_);
      const bool direct = turn.Advance();
      turn.TakeNews();
      if (ears_ != nullptr) ears_->Watch(direct);
      turn.TakeForeign(
          [&](std::uint32_t connection, Bytes&& bytes) { foreign.emplace_back(connection, std::move(bytes)); });
      const std::uint64_t due = turn->next_due();
      const double now = static_cast<double>(NowUs());
      if (direct && turn.is_unfinished()) wait_ms = 0;
      if (direct && due != 0) wait_ms = std::ceil(std::max(static_cast<double>(due) - now, 0.0) / 1000);
    }
    // The turn is over: what is called may ask for another.
    for (auto& [connection, bytes] : foreign) {
      const Napi::HandleScope scope(env);
      const Napi::Value buffer = ToBuffer(env, std::move(bytes));
      if (buffer.IsEmpty()) break;
      info[0].As<Napi::Function>().Call({Napi::Number::New(env, connection), buffer});
    }
    return Napi::Number::New(env, wait_ms);
  }

  Napi::Value Drop(const Napi::CallbackInfo& info) {
    Driver::Turn turn(driver_);
    turn->Drop();
    return info.Env().Undefined();
  }

  Napi::Value Post(const Napi::CallbackInfo& info) {
    Driver::Turn turn(driver_);
    turn->Post(BytesAt(info, 0));
    return info.Env().Undefined();
  }

  Napi::Value AcknowledgeAll(const Napi::CallbackInfo& info) {
    Driver::Turn turn(driver_);
    turn->AcknowledgeAll();
    return info.Env().Undefined();
  }

  Napi::Value DiscardMessages(const Napi::CallbackInfo& info) {
    Driver::Turn turn(driver_);
    turn->DiscardMessages();
    return info.Env().Undefined();
  }

  Napi::Value ReportAll(const Napi::CallbackInfo& info) {
    Driver::Turn turn(driver_);
    turn->set_report_all(BoolAt(info, 0));
    return info.Env().Undefined();
  }

  Napi::Value DrainCompletions(const Napi::CallbackInfo& info) {
    Driver::Turn turn(driver_);
    turn.TakeCompletions();
    return Drain(info, turn->completions());
  }
  // takeAttached(): the payload of the first record with one that was drained.
  Napi::Value TakeAttached(const Napi::CallbackInfo& info) {
    RecordQueue::Attachment attachment;
    {
      Driver::Turn turn(driver_);
      attachment = turn->completions().TakeAttached();
    }
    if (attachment.memory.empty()) return ToBuffer(info.Env(), Bytes());
    const std::size_t size = attachment.memory.size() - attachment.offset;
    std::uint8_t* memory = attachment.memory.Detach();
    return Napi::Buffer<std::uint8_t>::NewOrCopy(
        info.Env(), memory + attachment.offset, size,
        [](Napi::Env, std::uint8_t*, std::uint8_t* whole) { std::free(whole); }, memory);
  }
  Napi::Value DrainInbox(const Napi::CallbackInfo& info) {
    Driver::Turn turn(driver_);
    return Drain(info, turn->inbox());
  }

  // drain(buffer): bytes of whole records written; 0 when there are none; -n when the next one needs n bytes.
  static Napi::Value Drain(const Napi::CallbackInfo& info, RecordQueue& records) {
    double written = static_cast<double>(records.Drain(BytesAt(info, 0)));
    if (written == 0) written = -static_cast<double>(records.NextSize());
    return Napi::Number::New(info.Env(), written);
  }

  static constexpr std::size_t kTally = 7;

  static double* PutTally(double* at, const Tally& tally) noexcept {
    const std::uint64_t values[kTally] = {tally.accepted, tally.waiting, tally.sent,     tally.held,
                                          tally.done,     tally.failed,  tally.cancelled};
    for (const std::uint64_t value : values) *at++ = static_cast<double>(value);
    return at;
  }

  // readCounts(Float64Array): in the order of COUNTS in lib/native.ts.
  Napi::Value ReadCounts(const Napi::CallbackInfo& info) {
    Driver::Turn turn(driver_);
    double* at = Figures(info, 0, kTally + 7);
    if (at == nullptr) {
      ThrowArgument(info.Env(), "readCounts takes a Float64Array with room for every count");
      return info.Env().Undefined();
    }
    const Counts& counts = turn->counts();
    at = PutTally(at, counts);
    const std::uint64_t values[] = {counts.recalled,  counts.retried,        counts.fresh,         counts.messages,
                                    counts.discarded, turn->inbox().count(), turn->inbox().bytes()};
    for (const std::uint64_t value : values) *at++ = static_cast<double>(value);
    return info.Env().Undefined();
  }

  // readTallies(Float64Array): the tally of each level, in the order of TALLY in lib/native.ts.
  Napi::Value ReadTallies(const Napi::CallbackInfo& info) {
    Driver::Turn turn(driver_);
    double* at = Figures(info, 0, kTally * turn->levels());
    if (at == nullptr) {
      ThrowArgument(info.Env(), "readTallies takes a Float64Array with room for every level");
      return info.Env().Undefined();
    }
    for (std::uint32_t level = 0; level < turn->levels(); ++level) at = PutTally(at, turn->tally(level));
    return info.Env().Undefined();
  }

  // readLatency(Float64Array, reset): count, p50, p90, p99, max of runs, then of waits, in microseconds.
  Napi::Value ReadLatency(const Napi::CallbackInfo& info) {
    Driver::Turn turn(driver_);
    double* at = Figures(info, 0, 10);
    if (at == nullptr) {
      ThrowArgument(info.Env(), "readLatency takes a Float64Array of ten");
      return info.Env().Undefined();
    }
    for (Histogram* histogram : {&turn->runs(), &turn->waits()}) {
      *at++ = static_cast<double>(histogram->count());
      for (const double share : {0.5, 0.9, 0.99}) *at++ = static_cast<double>(histogram->Quantile(share));
      *at++ = static_cast<double>(histogram->max());
      if (BoolAt(info, 1)) histogram->Reset();
    }
    return info.Env().Undefined();
  }

  // The memory of a Float64Array with at least `needed` elements, or null.
  static double* Figures(const Napi::CallbackInfo& info, std::size_t index, std::size_t needed) {
    if (!info[index].IsTypedArray()) return nullptr;
    const Napi::TypedArray array = info[index].As<Napi::TypedArray>();
    if (array.TypedArrayType() != napi_float64_array || array.ElementLength() < needed) return nullptr;
    return array.As<Napi::Float64Array>().Data();
  }

  const Napi::Env env_;
  const std::uint32_t levels_;
  Napi::FunctionReference wake_;
  Driver driver_;
  OwnerLoop* ears_ = nullptr;  // null when it is closed
  napi_async_cleanup_hook_handle hook_ = nullptr;
  // By connection. They end with this environment, however it ends, and the workers with them.
  std::unordered_map<std::uint32_t, UniqueFd> lifelines_;
};

}  // namespace

Napi::Function DefineDispatcher(Napi::Env env) { return DispatcherWrap::Define(env); }

}  // namespace bosun
