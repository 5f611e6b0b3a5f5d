// Functions over the leftovers of an environment for JavaScript: conversion only, see process/leftovers.h.

#include "process/leftovers.h"

#include "addon/classes.h"
#include "addon/convert.h"

namespace bosun {
namespace {

Leftovers& Of(const Napi::CallbackInfo& info) { return *info.Env().GetInstanceData<Leftovers>(); }

// expectChild(pid), forgetChild(pid): nobody waits for it when this environment has ended.
Napi::Value ExpectChild(const Napi::CallbackInfo& info) {
  Of(info).ExpectChild(static_cast<int>(NumberAt(info, 0)));
  return info.Env().Undefined();
}

Napi::Value ForgetChild(const Napi::CallbackInfo& info) {
  Of(info).ForgetChild(static_cast<int>(NumberAt(info, 0)));
  return info.Env().Undefined();
}

// expectPath(path), forgetPath(path): a file or a folder that goes with this environment.
Napi::Value ExpectPath(const Napi::CallbackInfo& info) {
  if (std::string path = StringAt(info, 0); !path.empty()) Of(info).ExpectPath(std::move(path));
  return info.Env().Undefined();
}

Napi::Value ForgetPath(const Napi::CallbackInfo& info) {
  Of(info).ForgetPath(StringAt(info, 0));
  return info.Env().Undefined();
}

}  // namespace

void DefineLeftovers(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new Leftovers);
  exports.Set("expectChild", Napi::Function::New<ExpectChild>(env, "expectChild"));
  exports.Set("forgetChild", Napi::Function::New<ForgetChild>(env, "forgetChild"));
  exports.Set("expectPath", Napi::Function::New<ExpectPath>(env, "expectPath"));
  exports.Set("forgetPath", Napi::Function::New<ForgetPath>(env, "forgetPath"));
}

}  // namespace bosun
