// class Dispatcher for JavaScript: conversion only, see dispatch/dispatcher.h.

#include "dispatch/dispatcher.h"

#include <cerrno>
#include <cmath>
#include <unordered_map>

#include "addon/classes.h"
#include "addon/convert.h"
#include "process/clock.h"

namespace bosun {
namespace {

class DispatcherWrap : public Napi::ObjectWrap<DispatcherWrap> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Dispatcher",
                       {
                           InstanceMethod<&DispatcherWrap::Submit>("submit"),
                           InstanceMethod<&DispatcherWrap::Cancel>("cancel"),
                           InstanceMethod<&DispatcherWrap::SettleLost>("settleLost"),
                           InstanceMethod<&DispatcherWrap::Retry>("retry"),
                           InstanceMethod<&DispatcherWrap::Open>("open"),
                           InstanceMethod<&DispatcherWrap::OpenForeign>("openForeign"),
                           InstanceMethod<&DispatcherWrap::SetForeignPolicy>("setForeignPolicy"),
                           InstanceMethod<&DispatcherWrap::Suspend>("suspend"),
                           InstanceMethod<&DispatcherWrap::SendHello>("sendHello"),
                           InstanceMethod<&DispatcherWrap::SendClose>("sendClose"),
                           InstanceMethod<&DispatcherWrap::Receive>("receive"),
                           InstanceMethod<&DispatcherWrap::Disconnect>("disconnect"),
                           InstanceMethod<&DispatcherWrap::Worker>("worker"),
                           InstanceMethod<&DispatcherWrap::Turn>("turn"),
                           InstanceMethod<&DispatcherWrap::WatchStuck>("watchStuck"),
                           InstanceMethod<&DispatcherWrap::RecallStuck>("recallStuck"),
                           InstanceMethod<&DispatcherWrap::Drop>("drop"),
                           InstanceMethod<&DispatcherWrap::Post>("post"),
                           InstanceMethod<&DispatcherWrap::AcknowledgeAll>("acknowledgeAll"),
                           InstanceMethod<&DispatcherWrap::DiscardMessages>("discardMessages"),
                           InstanceMethod<&DispatcherWrap::ReportAll>("reportAll"),
                           InstanceMethod<&DispatcherWrap::DrainCompletions>("drainCompletions"),
                           InstanceMethod<&DispatcherWrap::DrainInbox>("drainInbox"),
                           InstanceMethod<&DispatcherWrap::ReadCounts>("readCounts"),
                           InstanceMethod<&DispatcherWrap::ReadTallies>("readTallies"),
                           InstanceMethod<&DispatcherWrap::ReadLatency>("readLatency"),
                       });
  }

  // new Dispatcher(levels, maxFrameBytes, prefetch, inboxMark, concurrency, graceMs, maxQueue)
  explicit DispatcherWrap(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<DispatcherWrap>(info), dispatcher_(Options(info)) {}

 private:
  static DispatcherOptions Options(const Napi::CallbackInfo& info) {
    DispatcherOptions options;
    options.levels = std::clamp(U32At(info, 0), 1u, 128u);
    options.max_frame_bytes = static_cast<std::uint64_t>(NumberAt(info, 1));
    options.prefetch = U32At(info, 2);
    options.inbox_mark = U32At(info, 3);
    options.concurrency = std::clamp(U32At(info, 4), 1u, StatusPage::kMaxLanes);
    options.grace_us = static_cast<std::uint64_t>(U32At(info, 5)) * 1000;
    const double max_queue = NumberAt(info, 6, -1);
    if (max_queue >= 0 && max_queue < 1e15) options.max_queue = static_cast<std::uint64_t>(max_queue);
    return options;
  }

  // Before anything that looks at the time.
  Dispatcher& Now() noexcept {
    dispatcher_.set_now(NowUs());
    return dispatcher_;
  }

  // submit(records): records of {length u32, ticket u32, id u64, level u8, flags u8, retries u16, timeout ms u32,
  // deadline ms u32, crashes u8, reserved u8 x3} and a payload. A record that finds no slot is answered through the
  // completions.
  Napi::Value Submit(const Napi::CallbackInfo& info) {
    constexpr std::size_t kFields = 32;
    Now();
    ByteSpan bytes = BytesAt(info, 0);
    while (bytes.size() >= kFields) {
      Submission submission;
      const std::size_t length = Load<std::uint32_t>(bytes.data());
      submission.ticket = Load<std::uint32_t>(bytes.data() + 4);
      submission.id = Load<std::uint64_t>(bytes.data() + 8);
      submission.level = bytes[16];
      submission.flags = bytes[17] & kOwnersFlags;
      submission.max_retries = Load<std::uint16_t>(bytes.data() + 18);
      submission.timeout_ms = Load<std::uint32_t>(bytes.data() + 20);
      submission.deadline_ms = Load<std::uint32_t>(bytes.data() + 24);
      submission.max_crashes = bytes[28];
      bytes = bytes.subspan(kFields);
      if (length > bytes.size() || submission.level >= dispatcher_.levels()) {
        ThrowArgument(info.Env(), "a submission is malformed");
        return info.Env().Undefined();
      }
      dispatcher_.Submit(submission, bytes.first(length));
      bytes = bytes.subspan(length);
    }
    return info.Env().Undefined();
  }

  Napi::Value Cancel(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(Now().Cancel(U32At(info, 0))));
  }

  // settleLost(slot, dropped): see LostOutcome.
  Napi::Value SettleLost(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(dispatcher_.SettleLost(U32At(info, 0), BoolAt(info, 1))));
  }

  // retry(slot, delayMs): false when there is no such task.
  Napi::Value Retry(const Napi::CallbackInfo& info) {
    const double delay_us = std::clamp(NumberAt(info, 1, 0) * 1000, 0.0, 1e15);
    return Napi::Boolean::New(info.Env(), Now().Retry(U32At(info, 0), static_cast<std::uint64_t>(delay_us)));
  }

  // openForeign(worker): the connection, 0 when there are too many.
  Napi::Value OpenForeign(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), dispatcher_.ConnectForeign(U32At(info, 0)));
  }

  // setForeignPolicy(timeoutMs, deadlineMs, retries, crashes, flags): see Submission.
  Napi::Value SetForeignPolicy(const Napi::CallbackInfo& info) {
    Submission policy;
    policy.timeout_ms = U32At(info, 0);
    policy.deadline_ms = U32At(info, 1);
    policy.max_retries = static_cast<std::uint16_t>(U32At(info, 2));
    policy.max_crashes = static_cast<std::uint8_t>(U32At(info, 3));
    policy.flags = static_cast<std::uint8_t>(U32At(info, 4)) & kOwnersFlags;
    dispatcher_.set_foreign_policy(policy);
    return info.Env().Undefined();
  }

  Napi::Value Suspend(const Napi::CallbackInfo& info) {
    dispatcher_.Suspend(U32At(info, 0), BoolAt(info, 1));
    return info.Env().Undefined();
  }

  // open(worker): [connection, parent's end, the same for writing, child's end, page, child's lifeline]; the
  // descriptors are the caller's.
  Napi::Value Open(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    LocalLink link;
    if (!OpenLocalLink(link)) {
      ThrowErrno(env, errno);
      return env.Undefined();
    }
    const std::uint32_t connection = dispatcher_.Connect(U32At(info, 0), std::move(link.page));
    if (connection == 0) {
      ThrowErrno(env, EMFILE);
      return env.Undefined();
    }
    lifelines_.emplace(connection, std::move(link.parent_lifeline));
    constexpr std::uint32_t kValues = 6;
    Napi::Array result = Napi::Array::New(env, kValues);
    const double values[kValues] = {static_cast<double>(connection),
                                    static_cast<double>(link.parent_end.Release()),
                                    static_cast<double>(link.parent_writer.Release()),

                                    static_cast<double>(link.child_end.Release()),
                                    static_cast<double>(link.page_file.Release()),
                                    static_cast<double>(link.child_lifeline.Release())};
    for (std::uint32_t i = 0; i < kValues; ++i) result.Set(i, Napi::Number::New(env, values[i]));
    return result;
  }

  Napi::Value SendHello(const Napi::CallbackInfo& info) {
    dispatcher_.SendHello(U32At(info, 0), BytesAt(info, 1));
    return info.Env().Undefined();
  }

  Napi::Value SendClose(const Napi::CallbackInfo& info) {
    dispatcher_.SendClose(U32At(info, 0), BoolAt(info, 1));
    return info.Env().Undefined();
  }

  Napi::Value Receive(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(Now().Receive(U32At(info, 0), BytesAt(info, 1))));
  }

  Napi::Value Disconnect(const Napi::CallbackInfo& info) {
    lifelines_.erase(U32At(info, 0));
    return Napi::Boolean::New(info.Env(), dispatcher_.Disconnect(U32At(info, 0)));
  }

  // worker(connection, figures): in flight, window, tasks ended, average run time in microseconds. False when stale.
  Napi::Value Worker(const Napi::CallbackInfo& info) {
    const Connection* connection = dispatcher_.Find(U32At(info, 0));
    double* figures = Figures(info, 1, 4);
    if (connection == nullptr || figures == nullptr) return Napi::Boolean::New(info.Env(), false);
    figures[0] = static_cast<double>(connection->in_flight.size());
    figures[1] = connection->window;
    figures[2] = static_cast<double>(connection->tasks_ended);
    figures[3] = connection->average_us;
    return Napi::Boolean::New(info.Env(), true);
  }

  // turn(write): dispatches, then calls write(connection, bytes) for each connection with bytes to write. Milliseconds
  // until the next turn is due at the latest, -1 when nothing is.
  Napi::Value Turn(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    Now().Dispatch();
    if (!info[0].IsFunction()) return env.Undefined();
    const Napi::Function write = info[0].As<Napi::Function>();
    dispatcher_.Flush([&](std::uint32_t connection, Bytes&& bytes) {
      const Napi::HandleScope scope(env);
      const Napi::Value buffer = ToBuffer(env, std::move(bytes));
      if (buffer.IsEmpty()) return;
      write.Call({Napi::Number::New(env, connection), buffer});
    });
    const std::uint64_t due = dispatcher_.next_due();
    if (due == 0) return Napi::Number::New(env, -1);
    return Napi::Number::New(env,
                             std::ceil(std::max(static_cast<double>(due) - static_cast<double>(NowUs()), 0.0) / 1000));
  }

  Napi::Value WatchStuck(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), dispatcher_.WatchStuck());
  }

  Napi::Value RecallStuck(const Napi::CallbackInfo& info) {
    dispatcher_.RecallStuck();
    return info.Env().Undefined();
  }

  Napi::Value Drop(const Napi::CallbackInfo& info) {
    dispatcher_.Drop();
    return info.Env().Undefined();
  }

  Napi::Value Post(const Napi::CallbackInfo& info) {
    dispatcher_.Post(BytesAt(info, 0));
    return info.Env().Undefined();
  }

  Napi::Value AcknowledgeAll(const Napi::CallbackInfo& info) {
    dispatcher_.AcknowledgeAll();
    return info.Env().Undefined();
  }

  Napi::Value DiscardMessages(const Napi::CallbackInfo& info) {
    dispatcher_.DiscardMessages();
    return info.Env().Undefined();
  }

  Napi::Value ReportAll(const Napi::CallbackInfo& info) {
    dispatcher_.set_report_all(BoolAt(info, 0));
    return info.Env().Undefined();
  }

  Napi::Value DrainCompletions(const Napi::CallbackInfo& info) { return Drain(info, dispatcher_.completions()); }
  Napi::Value DrainInbox(const Napi::CallbackInfo& info) { return Drain(info, dispatcher_.inbox()); }

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
    double* at = Figures(info, 0, kTally + 7);
    if (at == nullptr) {
      ThrowArgument(info.Env(), "readCounts takes a Float64Array with room for every count");
      return info.Env().Undefined();
    }
    const Counts& counts = dispatcher_.counts();
    at = PutTally(at, counts);
    const std::uint64_t values[] = {counts.recalled,
                                    counts.retried,
                                    counts.fresh,
                                    counts.messages,
                                    counts.discarded,
                                    dispatcher_.inbox().count(),
                                    dispatcher_.inbox().bytes()};
    for (const std::uint64_t value : values) *at++ = static_cast<double>(value);
    return info.Env().Undefined();
  }

  // readTallies(Float64Array): the tally of each level, in the order of TALLY in lib/native.ts.
  Napi::Value ReadTallies(const Napi::CallbackInfo& info) {
    double* at = Figures(info, 0, kTally * dispatcher_.levels());
    if (at == nullptr) {
      ThrowArgument(info.Env(), "readTallies takes a Float64Array with room for every level");
      return info.Env().Undefined();
    }
    for (std::uint32_t level = 0; level < dispatcher_.levels(); ++level) at = PutTally(at, dispatcher_.tally(level));
    return info.Env().Undefined();
  }

  // readLatency(Float64Array, reset): count, p50, p90, p99, max of runs, then of waits, in microseconds.
  Napi::Value ReadLatency(const Napi::CallbackInfo& info) {
    double* at = Figures(info, 0, 10);
    if (at == nullptr) {
      ThrowArgument(info.Env(), "readLatency takes a Float64Array of ten");
      return info.Env().Undefined();
    }
    for (Histogram* histogram : {&dispatcher_.runs(), &dispatcher_.waits()}) {
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

  Dispatcher dispatcher_;
  // By connection. They end with this environment, however it ends, and the workers with them.
  std::unordered_map<std::uint32_t, UniqueFd> lifelines_;
};

}  // namespace

Napi::Function DefineDispatcher(Napi::Env env) { return DispatcherWrap::Define(env); }

}  // namespace bosun
