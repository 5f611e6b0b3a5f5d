{
  "targets": [
    {
      "target_name": "bosun",
      "sources": [
        "native/addon/addon.cc",
        "native/addon/datagram.cc",
        "native/addon/descriptors.cc",
        "native/addon/dispatcher.cc",
        "native/addon/frame_decoder.cc",
        "native/addon/host_page.cc",
        "native/addon/leftovers.cc",
        "native/addon/no_demangle.cc",
        "native/addon/parent_guard.cc",
        "native/addon/queue.cc",
        "native/addon/sockets.cc",
        "native/addon/worker_link.cc",
        "native/dispatch/attempts.cc",
        "native/dispatch/dispatcher.cc",
        "native/dispatch/foreign.cc",
        "native/dispatch/forks.cc",
        "native/dispatch/receive.cc",
        "native/dispatch/turn.cc",
        "native/io/channel.cc",
        "native/io/driver.cc",
        "native/process/outlet.cc",
        "native/process/stream.cc",
        "native/process/worker_link.cc"
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")", "native"],
      "defines": [
        "NAPI_VERSION=8",
        "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS",
        "NODE_ADDON_API_DISABLE_DEPRECATED",
        "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"
      ],
      "cflags_cc!": ["-std=gnu++17", "-fexceptions", "-std=gnu++20"],
      "cflags_cc": ["-std=c++20", "-O2", "-fno-exceptions", "-fno-rtti", "-fvisibility=hidden", "-Wall", "-Wextra"],
      "xcode_settings": {
        "CLANG_CXX_LANGUAGE_STANDARD": "c++20",
        "GCC_ENABLE_CPP_EXCEPTIONS": "NO",
        "GCC_ENABLE_CPP_RTTI": "NO",
        "GCC_SYMBOLS_PRIVATE_EXTERN": "YES",
        "MACOSX_DEPLOYMENT_TARGET": "11.0"
      },
      "conditions": [
        [
          "OS=='win'",
          {
            "sources!": ["native/addon/datagram.cc"],
            "defines": ["NOMINMAX", "WIN32_LEAN_AND_MEAN"],
            "libraries": ["-lws2_32"],
            "msvs_settings": {
              "VCCLCompilerTool": { "AdditionalOptions": ["/std:c++20"], "RuntimeTypeInfo": "false" }
            }
          }
        ],
        [
          "OS=='linux'",
          {
            "ldflags": [
              "-static-libgcc",
              "-static-libstdc++",
              "-Wl,--as-needed",
              "-Wl,-z,nodelete",
              "-Wl,-s",
              "-Wl,--version-script=<(module_root_dir)/native/addon/exports.map"
            ]
          }
        ]
      ]
    }
  ]
}
