// What the addon exports, one file each.
#pragma once

#include <napi.h>

namespace bosun {

Napi::Function DefineDispatcher(Napi::Env env);
Napi::Function DefineFrameDecoder(Napi::Env env);
Napi::Function DefineHostPage(Napi::Env env);
Napi::Function DefineParentGuard(Napi::Env env);
void DefineDatagram(Napi::Env env, Napi::Object exports);
void DefineDescriptors(Napi::Env env, Napi::Object exports);
void DefineLeftovers(Napi::Env env, Napi::Object exports);
void DefineQueue(Napi::Env env, Napi::Object exports);
void DefineSockets(Napi::Env env, Napi::Object exports);
void DefineWorkerLink(Napi::Env env, Napi::Object exports);

}  // namespace bosun
