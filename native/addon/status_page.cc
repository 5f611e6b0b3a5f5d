// class StatusPage for JavaScript: the worker's side of the page that it shares with its manager, see
// process/claim_word.h.

#include "addon/classes.h"
#include "addon/convert.h"
#include "process/shared_page.h"

namespace bosun {
namespace {

class StatusPageWrap : public Napi::ObjectWrap<StatusPageWrap> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "StatusPage",
                       {
                           InstanceMethod<&StatusPageWrap::Claim>("claim"),
                           InstanceMethod<&StatusPageWrap::StopRequested>("stopRequested"),
                       });
  }

  // new StatusPage(descriptor): maps it; the descriptor may be closed afterwards.
  explicit StatusPageWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<StatusPageWrap>(info) {
    page_ = MapPage(static_cast<int>(NumberAt(info, 0, -1)));
    if (page_ == nullptr) Throw(info.Env(), "ERR_BOSUN_INVALID_ARGUMENT", "the descriptor is no status page");
  }

 private:
  Napi::Value Claim(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), page_ != nullptr && page_->claim.Claim(U32At(info, 0)));
  }

  Napi::Value StopRequested(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), page_ != nullptr && page_->stop.Requested(U32At(info, 0)));
  }

  SharedPage page_;
};

}  // namespace

Napi::Function DefineStatusPage(Napi::Env env) { return StatusPageWrap::Define(env); }

}  // namespace bosun
