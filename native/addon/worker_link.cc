// openWorkerLink for JavaScript: conversion only, see process/worker_link.h and addon/worker_loop.h.
//
// What runs for every task takes as few arguments as it can and bypasses node-addon-api: a typed array that is passed
// costs 30 ns, a method's `this` 20 ns. So small payloads go through buffers whose addresses are known here, and what
// is said of a task through an array of numbers.

#include <napi.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "addon/classes.h"
#include "addon/convert.h"
#include "addon/worker_loop.h"
#include "process/prefixes.h"

namespace bosun {
namespace {

// The places in `head`; WORKER_HEAD in lib/native.ts.
enum Head : std::uint8_t {
  kSequence,
  kAttempt,
  kFlags,
  kIdLow,
  kIdHigh,
  kPrefix,
  kPrefixBytes,
  kRunUs,
  kHeld,
  kHeadEnd
};

constexpr double kNothing = -1;
constexpr double kLarge = -2;

// Lives as long as its environment: JavaScript may call the functions at any time.
class Port final : public WorkerLoop::Listener {
 public:
  explicit Port(Napi::Env env) noexcept : env_(env) {}
  virtual ~Port() = default;

  // openWorkerLink(socket, page, wake, input, head)
  static Napi::Value Open(const Napi::CallbackInfo& info);

  void Wake(std::uint32_t what) override;
  void Closed() override;

 private:
  // An argument of a hot call; 0 for what is no number.
  static std::uint32_t U32(napi_env env, napi_value value) noexcept {
    std::uint32_t number = 0;
    napi_get_value_uint32(env, value, &number);
    return number;
  }
  static napi_value Number(napi_env env, double number) noexcept {
    napi_value value = nullptr;
    napi_create_double(env, number, &value);
    return value;
  }

  // A function of the link's object: METHOD(call, port), where `port` is open.
  struct Call {
    napi_env env;
    std::size_t count;
    napi_value args[5];
    std::uint32_t u32(std::size_t index) const noexcept { return index < count ? U32(env, args[index]) : 0; }
    std::uint32_t lane() const noexcept { return std::min(u32(0), StatusPage::kMaxLanes - 1); }
    ByteSpan bytes(std::size_t index) const noexcept;
  };
  template <double (Port::*Method)(const Call&)>
  static napi_value Invoke(napi_env env, napi_callback_info info) {
    Call call{env, std::size(call.args), {}};
    void* data = nullptr;
    napi_get_cb_info(env, info, &call.count, call.args, nullptr, &data);
    auto* port = static_cast<Port*>(data);
    return Number(env, port->link() == nullptr ? kNothing : (port->*Method)(call));
  }

  double Begin(const Call& call) { return BeginIn(call.lane(), call.u32(1) != 0); }
  double Done(const Call& call) {
    End(call);
    return 0;
  }
  double Next(const Call& call) {
    End(call);
    return BeginIn(call.lane(), call.u32(4) != 0);
  }
  double DoneBytes(const Call& call);
  double SetOutput(const Call& call);
  double Restart(const Call& call);
  double Send(const Call& call);
  double Rest(const Call&) { return Flushed(link()->Rest()); }
  double Flush(const Call&) { return Flushed(link()->Flush()); }
  double FlushFully(const Call& call) { return Flushed(link()->FlushFully(static_cast<int>(call.u32(0)))); }
  double StopReason(const Call& call) {
    return static_cast<double>(link()->Stopped(call.u32(0), std::min(call.u32(1), StatusPage::kMaxLanes - 1)));
  }
  double Remember(const Call& call) { return prefixes_.Remember(call.bytes(0)); }
  double Close(const Call&) {
    loop_->Close();
    return 0;
  }
  static napi_value TakeLarge(napi_env env, napi_callback_info info);
  static napi_value TakeControl(napi_env env, napi_callback_info info);

  WorkerLink* link() noexcept { return loop_ ? loop_->link() : nullptr; }
  double BeginIn(std::uint32_t lane, bool forked_only);
  void End(const Call& call);
  double Flushed(bool is_done) noexcept {
    head_[kHeld] = link()->held();
    return is_done ? 1 : 0;
  }
  static napi_ref Keep(napi_env env, napi_value value) noexcept {
    napi_ref reference = nullptr;
    napi_create_reference(env, value, 1, &reference);
    return reference;
  }

  Napi::Env env_;
  std::optional<WorkerLoop> loop_;
  napi_async_cleanup_hook_handle hook_ = nullptr;
  bool is_leaving_ = false;
  std::vector<napi_ref> kept_;  // the callback, then what the pointers below point into
  napi_async_context context_ = nullptr;
  std::span<std::uint8_t> input_;
  napi_ref output_kept_ = nullptr;
  ByteSpan output_;
  std::uint32_t* head_ = nullptr;
  ArrivedTask task_;
  Prefixes prefixes_;
};

ByteSpan Port::Call::bytes(std::size_t index) const noexcept {
  bool is_array = false;
  if (index >= count || napi_is_typedarray(env, args[index], &is_array) != napi_ok || !is_array) return {};
  napi_typedarray_type type{};
  void* data = nullptr;
  std::size_t length = 0;
  napi_get_typedarray_info(env, args[index], &type, &length, &data, nullptr, nullptr);
  if (type != napi_uint8_array) return {};
  return {static_cast<const std::uint8_t*>(data), length};
}

// begin(lane, forkedOnly): the length of the payload in `input`, kNothing, or kLarge: see takeLarge.
double Port::BeginIn(std::uint32_t lane, bool forked_only) {
  const bool has_begun = link()->Begin(lane, task_, forked_only);
  head_[kHeld] = link()->held();
  if (!has_begun) return kNothing;
  head_[kSequence] = task_.sequence;
  head_[kAttempt] = task_.attempt;
  head_[kFlags] = task_.flags;
  head_[kIdLow] = static_cast<std::uint32_t>(task_.id);
  head_[kIdHigh] = static_cast<std::uint32_t>(task_.id >> 32);
  head_[kPrefix] = Prefixes::kNone;
  if (task_.IsLarge()) return kLarge;
  const ByteSpan payload = task_.payload;
  // It is a small one, and so fits: see Open.
  std::memcpy(input_.data(), payload.data(), payload.size());
  head_[kPrefix] = prefixes_.Find(payload);
  if (head_[kPrefix] != Prefixes::kNone) {
    head_[kPrefixBytes] = static_cast<std::uint32_t>(prefixes_.Length(head_[kPrefix]));
  }
  return static_cast<double>(payload.size());
}

// done(lane, status, start, end): the payload is that range of `output`.
void Port::End(const Call& call) {
  const std::uint32_t start = call.u32(2);
  const std::uint32_t end = call.u32(3);
  const ByteSpan payload = start <= end && end <= output_.size() ? output_.subspan(start, end - start) : ByteSpan{};
  head_[kRunUs] = link()->Done(call.lane(), static_cast<DoneStatus>(call.u32(1)), payload);
  head_[kHeld] = link()->held();
}

// doneBytes(lane, status, payload, tag): for payloads elsewhere; `tag` goes before them unless it is above 255.
double Port::DoneBytes(const Call& call) {
  const std::uint32_t tag = call.u32(3);
  head_[kRunUs] = link()->Done(call.lane(), static_cast<DoneStatus>(call.u32(1)), call.bytes(2),
                               tag <= 0xFF ? static_cast<int>(tag) : -1);
  head_[kHeld] = link()->held();
  return 0;
}

// setOutput(bytes): where the payloads of `done` and `next` are.
double Port::SetOutput(const Call& call) {
  output_ = call.bytes(0);
  if (output_kept_ != nullptr) napi_delete_reference(env_, output_kept_);
  output_kept_ = output_.empty() ? nullptr : Keep(env_, call.args[0]);
  return 0;
}

double Port::Restart(const Call& call) {
  link()->Restart(call.lane());
  return 0;
}

// send(type, fields, payload): fields and payload are Uint8Arrays.
double Port::Send(const Call& call) {
  link()->Send(static_cast<std::uint8_t>(call.u32(0)), call.bytes(1), call.bytes(2));
  head_[kHeld] = link()->held();
  return 0;
}

// takeLarge(): the body of the large task that was begun last, fields first, in memory of its own.
napi_value Port::TakeLarge(napi_env env, napi_callback_info info) {
  void* data = nullptr;
  napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &data);
  return ToBuffer(env, std::exchange(static_cast<Port*>(data)->task_.body, Bytes()));
}

// takeControl(): whole frames that are no tasks.
napi_value Port::TakeControl(napi_env env, napi_callback_info info) {
  void* data = nullptr;
  napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &data);
  WorkerLink* link = static_cast<Port*>(data)->link();
  return ToBuffer(env, link == nullptr ? Bytes() : link->TakeControl());
}

void Port::Wake(std::uint32_t what) {
  const Napi::HandleScope scope(env_);
  napi_value callback = nullptr;
  napi_get_reference_value(env_, kept_.front(), &callback);
  const napi_value argument = Number(env_, what);
  CallBack(env_, context_, callback, {&argument, 1});
}

void Port::Closed() {
  if (!is_leaving_) return;
  const napi_async_cleanup_hook_handle hook = hook_;
  delete this;
  napi_remove_async_cleanup_hook(hook);
}

Napi::Value Port::Open(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::span<std::uint8_t> input = BytesAt(info, 3);
  const bool has_head = info[4].IsTypedArray() &&
                        info[4].As<Napi::TypedArray>().TypedArrayType() == napi_uint32_array &&
                        info[4].As<Napi::TypedArray>().ElementLength() >= kHeadEnd;
  if (!info[2].IsFunction() || input.size() < FrameDecoder::kLargeBody || !has_head) {
    ThrowArgument(env, "openWorkerLink takes two descriptors, a function, a buffer of 64 KiB and a Uint32Array");
    return env.Undefined();
  }
  SharedPage page = MapPage(static_cast<int>(NumberAt(info, 1, -1)));
  if (page == nullptr) {
    ThrowArgument(env, "the descriptor is no status page");
    return env.Undefined();
  }
  SharedRings rings;
  if (!MapRings(static_cast<int>(NumberAt(info, 1, -1)), rings)) {
    ThrowErrno(env, errno);
    return env.Undefined();
  }
  Stream stream(ToSocket(static_cast<int>(NumberAt(info, 0, -1))), std::move(rings), Stream::End::kWorker);
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(env, &loop);

  Port* port = new Port(env);
  for (const std::size_t index : {2, 3, 4}) port->kept_.push_back(Keep(env, info[index]));
  port->input_ = input;
  port->head_ = info[4].As<Napi::Uint32Array>().Data();
  napi_async_init(env, nullptr, Napi::String::New(env, "bosun.WorkerLink"), &port->context_);
  port->loop_.emplace(loop, std::move(stream), std::move(page), *port);
  napi_add_async_cleanup_hook(
      env,
      [](napi_async_cleanup_hook_handle, void* data) {
        auto* self = static_cast<Port*>(data);
        self->is_leaving_ = true;
        for (const napi_ref reference : self->kept_) napi_delete_reference(self->env_, reference);
        if (self->output_kept_ != nullptr) napi_delete_reference(self->env_, self->output_kept_);
        if (self->loop_->is_closed()) {
          self->Closed();
        } else {
          self->loop_->Close();
        }
      },
      port, &port->hook_);
  if (!port->loop_->Start()) {
    port->loop_->Close();
    ThrowArgument(env, "the descriptor is no socket");
    return env.Undefined();
  }

  const struct {
    const char* name;
    napi_callback call;
  } functions[] = {
      {"begin", Invoke<&Port::Begin>},
      {"done", Invoke<&Port::Done>},
      {"next", Invoke<&Port::Next>},
      {"doneBytes", Invoke<&Port::DoneBytes>},
      {"setOutput", Invoke<&Port::SetOutput>},
      {"restart", Invoke<&Port::Restart>},
      {"takeLarge", TakeLarge},
      {"takeControl", TakeControl},
      {"send", Invoke<&Port::Send>},
      {"rest", Invoke<&Port::Rest>},
      {"flush", Invoke<&Port::Flush>},
      {"flushFully", Invoke<&Port::FlushFully>},
      {"stopReason", Invoke<&Port::StopReason>},
      {"remember", Invoke<&Port::Remember>},
      {"close", Invoke<&Port::Close>},
  };
  Napi::Object result = Napi::Object::New(env);
  for (const auto& [name, call] : functions) {
    napi_value function = nullptr;
    napi_create_function(env, name, NAPI_AUTO_LENGTH, call, port, &function);
    napi_set_named_property(env, result, name, function);
  }
  return result;
}

}  // namespace

void DefineWorkerLink(Napi::Env env, Napi::Object exports) {
  exports.Set("openWorkerLink", Napi::Function::New<Port::Open>(env, "openWorkerLink"));
}

}  // namespace bosun
