// The addon's entry: one instance for each environment that loads it, nothing shared but the table of queues.

#include <napi.h>

#include "addon/classes.h"

namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("Dispatcher", bosun::DefineDispatcher(env));
  exports.Set("FrameDecoder", bosun::DefineFrameDecoder(env));
  exports.Set("HostPage", bosun::DefineHostPage(env));
  exports.Set("ParentGuard", bosun::DefineParentGuard(env));
#if !defined(_WIN32)
  bosun::DefineDatagram(env, exports);
#endif
  bosun::DefineDescriptors(env, exports);
  bosun::DefineLeftovers(env, exports);
  bosun::DefineQueue(env, exports);
  bosun::DefineSockets(env, exports);
  bosun::DefineWorkerLink(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(bosun, Init)
