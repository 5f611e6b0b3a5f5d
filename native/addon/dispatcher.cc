// class Dispatcher for JavaScript: conversion only, see dispatch/dispatcher.h.

#include "dispatch/dispatcher.h"

#include <cerrno>

#include "addon/classes.h"
#include "addon/convert.h"

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
                           InstanceMethod<&DispatcherWrap::Open>("open"),
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
                       });
  }

  // new Dispatcher(levels, maxFrameBytes, prefetch, inboxMark)
  explicit DispatcherWrap(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<DispatcherWrap>(info), dispatcher_(Options(info)) {}

 private:
  static DispatcherOptions Options(const Napi::CallbackInfo& info) {
    DispatcherOptions options;
    options.levels = std::clamp(U32At(info, 0), 1u, 128u);
    options.max_frame_bytes = static_cast<std::uint64_t>(NumberAt(info, 1));
    options.prefetch = U32At(info, 2);
    options.inbox_mark = U32At(info, 3);
    return options;
  }

  // submit(records): records of {length u32, ticket u32, id u64, level u8, flags u8, reserved u16} and a
  // payload. A record that finds no slot is answered through the completions.
  Napi::Value Submit(const Napi::CallbackInfo& info) {
    constexpr std::size_t kFields = 20;
    ByteSpan bytes = BytesAt(info, 0);
    while (bytes.size() >= kFields) {
      Submission submission;
      const std::size_t length = Load<std::uint32_t>(bytes.data());
      submission.ticket = Load<std::uint32_t>(bytes.data() + 4);
      submission.id = Load<std::uint64_t>(bytes.data() + 8);
      submission.level = bytes[16];
      submission.flags = bytes[17];
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
    return Napi::Number::New(info.Env(), static_cast<double>(dispatcher_.Cancel(U32At(info, 0))));
  }

  // settleLost(slot, dropped): 0 unknown, 1 failed, 2 cancelled.
  Napi::Value SettleLost(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(dispatcher_.SettleLost(U32At(info, 0), BoolAt(info, 1))));
  }

  // open(worker): [connection, parent's end, the same for writing, child's end, page]; the descriptors are the
  // caller's.
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
    Napi::Array result = Napi::Array::New(env, 5);
    const double values[] = {static_cast<double>(connection), static_cast<double>(link.parent_end.Release()),
                             static_cast<double>(link.parent_writer.Release()),
                             static_cast<double>(link.child_end.Release()),
                             static_cast<double>(link.page_file.Release())};
    for (std::uint32_t i = 0; i < 5; ++i) result.Set(i, Napi::Number::New(env, values[i]));
    return result;
  }

  static void ThrowErrno(Napi::Env env, int number) {
    Napi::Error error = Napi::Error::New(env, std::strerror(number));
    error.Set("errno", Napi::Number::New(env, -number));
    error.Set("code", Napi::String::New(env, number == EMFILE || number == ENFILE ? "EMFILE" : "EAGAIN"));
    error.ThrowAsJavaScriptException();
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
    return Napi::Number::New(info.Env(), static_cast<double>(dispatcher_.Receive(U32At(info, 0), BytesAt(info, 1))));
  }

  Napi::Value Disconnect(const Napi::CallbackInfo& info) {
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

  // turn(write): dispatches, then calls write(connection, bytes) for each connection with bytes to write.
  Napi::Value Turn(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    dispatcher_.Dispatch();
    if (!info[0].IsFunction()) return env.Undefined();
    const Napi::Function write = info[0].As<Napi::Function>();
    dispatcher_.Flush([&](std::uint32_t connection, Bytes&& bytes) {
      const Napi::HandleScope scope(env);
      const Napi::Value buffer = ToBuffer(env, std::move(bytes));
      if (buffer.IsEmpty()) return;
      write.Call({Napi::Number::New(env, connection), buffer});
    });
    return env.Undefined();
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

  // readCounts(Float64Array): in the order of COUNTS in lib/native.ts, then the waiting tasks of each level.
  Napi::Value ReadCounts(const Napi::CallbackInfo& info) {
    constexpr std::size_t kCounts = 12;
    double* figures = Figures(info, 0, kCounts + dispatcher_.levels());
    if (figures == nullptr) {
      ThrowArgument(info.Env(), "readCounts takes a Float64Array with room for every level");
      return info.Env().Undefined();
    }
    const Counts& counts = dispatcher_.counts();
    const double values[kCounts] = {
        static_cast<double>(counts.accepted),
        static_cast<double>(counts.waiting),
        static_cast<double>(counts.sent),
        static_cast<double>(counts.lost),
        static_cast<double>(counts.done),
        static_cast<double>(counts.failed),
        static_cast<double>(counts.cancelled),
        static_cast<double>(counts.recalled),
        static_cast<double>(counts.messages),
        static_cast<double>(counts.discarded),
        static_cast<double>(dispatcher_.inbox().count()),
        static_cast<double>(dispatcher_.inbox().bytes()),
    };
    std::copy(values, values + kCounts, figures);
    for (std::uint32_t level = 0; level < dispatcher_.levels(); ++level) {
      figures[kCounts + level] = static_cast<double>(dispatcher_.waiting_at(level));
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
};

}  // namespace

Napi::Function DefineDispatcher(Napi::Env env) { return DispatcherWrap::Define(env); }

}  // namespace bosun
