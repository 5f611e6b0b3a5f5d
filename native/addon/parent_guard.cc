// class ParentGuard for JavaScript: conversion only, see process/parent_guard.h.

#include "process/parent_guard.h"

#include "addon/classes.h"
#include "addon/convert.h"

namespace bosun {
namespace {

class ParentGuardWrap : public Napi::ObjectWrap<ParentGuardWrap> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "ParentGuard", {InstanceMethod<&ParentGuardWrap::Release>("release")});
  }

  // new ParentGuard(socket)
  explicit ParentGuardWrap(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<ParentGuardWrap>(info), guard_(static_cast<int>(NumberAt(info, 0, -1))) {}

 private:
  Napi::Value Release(const Napi::CallbackInfo& info) {
    guard_.Release();
    return info.Env().Undefined();
  }

  ParentGuard guard_;
};

}  // namespace

Napi::Function DefineParentGuard(Napi::Env env) { return ParentGuardWrap::Define(env); }

}  // namespace bosun
