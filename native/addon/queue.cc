// The priority queue for JavaScript: functions over handles, which any thread of the process can use. Conversion only,
// see queue/queue_table.h.

#include "addon/classes.h"
#include "addon/convert.h"
#include "queue/queue_table.h"

namespace bosun {
namespace {

constexpr double kTwoTo32 = 4294967296.0;

// The pinned queue of the handle in the first argument; throws when there is none.
QueueTable::Pin PinAt(const Napi::CallbackInfo& info) {
  const double handle = NumberAt(info, 0);
  QueueTable::Pin pin;
  if (handle >= 1 && handle < 9007199254740992.0) {
    return QueueTable::Instance().Acquire(static_cast<QueueHandle>(handle));
  }
  return pin;
}

void ThrowStale(Napi::Env env) { Throw(env, "ERR_BOSUN_STALE_HANDLE", "this queue is closed"); }

Napi::Value Open(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(QueueTable::Instance().Open(U32At(info, 0))));
}

Napi::Value Push(const Napi::CallbackInfo& info) {
  const QueueTable::Pin queue = PinAt(info);
  if (!queue) {
    ThrowStale(info.Env());
  } else if (!IsIndex(info, 1, queue->levels() - 1) || !IsIndex(info, 2, Fifo::kMaxValue)) {
    Throw(info.Env(), "ERR_BOSUN_OUT_OF_RANGE", "no such level, or a value that the queue cannot hold");
  } else {
    queue->Push(U32At(info, 1), U32At(info, 2));
  }
  return info.Env().Undefined();
}

Napi::Value Pop(const Napi::CallbackInfo& info) {
  const QueueTable::Pin queue = PinAt(info);
  if (!queue) {
    ThrowStale(info.Env());
    return info.Env().Undefined();
  }
  std::uint32_t value = 0;
  std::uint32_t level = 0;
  const bool popped = queue->TryPop(&value, &level);
  return Napi::Number::New(info.Env(), popped ? level * kTwoTo32 + value : -1);
}

Napi::Value Close(const Napi::CallbackInfo& info) {
  const double handle = NumberAt(info, 0);
  const bool valid = handle >= 1 && handle < 9007199254740992.0;
  return Napi::Boolean::New(info.Env(), valid && QueueTable::Instance().Close(static_cast<QueueHandle>(handle)));
}

}  // namespace

void DefineQueue(Napi::Env env, Napi::Object exports) {
  exports.Set("queueOpen", Napi::Function::New<Open>(env, "queueOpen"));
  exports.Set("queuePush", Napi::Function::New<Push>(env, "queuePush"));
  exports.Set("queuePop", Napi::Function::New<Pop>(env, "queuePop"));
  exports.Set("queueClose", Napi::Function::New<Close>(env, "queueClose"));
}

}  // namespace bosun
