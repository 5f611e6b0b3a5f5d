// class StatusPage for JavaScript: the worker's side of the page that it shares with its manager, see
// process/status_page.h.

#include "addon/classes.h"
#include "addon/convert.h"
#include "process/clock.h"
#include "process/shared_page.h"

namespace bosun {
namespace {

class StatusPageWrap : public Napi::ObjectWrap<StatusPageWrap> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "StatusPage",
                       {
                           InstanceMethod<&StatusPageWrap::Begin>("begin"),
                           InstanceMethod<&StatusPageWrap::End>("end"),
                           InstanceMethod<&StatusPageWrap::StopReason>("stopReason"),
                       });
  }

  // new StatusPage(descriptor): maps it; the descriptor may be closed afterwards.
  explicit StatusPageWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<StatusPageWrap>(info) {
    page_ = MapPage(static_cast<int>(NumberAt(info, 0, -1)));
    if (page_ == nullptr) Throw(info.Env(), "ERR_BOSUN_INVALID_ARGUMENT", "the descriptor is no status page");
  }

 private:
  // begin(sequence, lane): claims the task; false when it was taken back.
  Napi::Value Begin(const Napi::CallbackInfo& info) {
    const std::uint32_t sequence = U32At(info, 0);
    const std::uint32_t lane = U32At(info, 1);
    bool claimed = false;
    if (page_ != nullptr && lane < StatusPage::kMaxLanes) {
      page_->lanes[lane].Begin(sequence, NowUs());
      claimed = page_->claim.Claim(sequence);
      if (!claimed) page_->lanes[lane].End();
    }
    return Napi::Boolean::New(info.Env(), claimed);
  }

  // end(sequence, lane): it is over, whether or not its result has been sent.
  Napi::Value End(const Napi::CallbackInfo& info) {
    const std::uint32_t lane = U32At(info, 1);
    if (page_ != nullptr && lane < StatusPage::kMaxLanes) {
      page_->ended.Ended(U32At(info, 0));
      page_->lanes[lane].End();
    }
    return info.Env().Undefined();
  }

  // stopReason(sequence, lane): see StopReason; 0 while it may go on.
  Napi::Value StopReason(const Napi::CallbackInfo& info) {
    const std::uint32_t lane = U32At(info, 1);
    auto reason = bosun::StopReason::kNone;
    if (page_ != nullptr && lane < StatusPage::kMaxLanes) {
      reason = page_->lanes[lane].Stopped(U32At(info, 0));
      // relaxed: a hint, with no data behind it.
      const bool closing = page_->closing.load(std::memory_order_relaxed) != 0;
      if (reason == bosun::StopReason::kNone && closing) reason = bosun::StopReason::kClosing;
    }
    return Napi::Number::New(info.Env(), static_cast<double>(reason));
  }

  SharedPage page_;
};

}  // namespace

Napi::Function DefineStatusPage(Napi::Env env) { return StatusPageWrap::Define(env); }

}  // namespace bosun
