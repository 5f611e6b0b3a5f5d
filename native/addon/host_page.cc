// class HostPage for JavaScript: conversion only, see process/host_page.h.

#include "process/host_page.h"

#include "addon/classes.h"
#include "addon/convert.h"

namespace bosun {
namespace {

class HostPageWrap final : public Napi::ObjectWrap<HostPageWrap> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "HostPage",
                       {
                           InstanceMethod<&HostPageWrap::Sent>("sent"),
                           InstanceMethod<&HostPageWrap::Stop>("stop"),
                           InstanceMethod<&HostPageWrap::Close>("close"),
                       });
  }

  // HostPage(memory): a descriptor that may be closed afterwards.
  explicit HostPageWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<HostPageWrap>(info) {
    SharedPage page = MapPage(static_cast<int>(NumberAt(info, 0, -1)));
    if (page == nullptr) {
      ThrowErrno(info.Env(), errno);
      return;
    }
    page_ = std::make_unique<HostPage>(std::move(page));
  }

 private:
  Napi::Value Sent(const Napi::CallbackInfo& info) {
    page_->Sent(U32At(info, 0));
    return info.Env().Undefined();
  }

  // stop(sequence, lanes, reason)
  Napi::Value Stop(const Napi::CallbackInfo& info) {
    page_->Stop(U32At(info, 0), U32At(info, 1), static_cast<StopReason>(U32At(info, 2)));
    return info.Env().Undefined();
  }

  Napi::Value Close(const Napi::CallbackInfo& info) {
    page_->Close();
    return info.Env().Undefined();
  }

  std::unique_ptr<HostPage> page_;
};

}  // namespace

Napi::Function DefineHostPage(Napi::Env env) { return HostPageWrap::Define(env); }

}  // namespace bosun
