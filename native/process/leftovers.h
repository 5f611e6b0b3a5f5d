// What has to be cleaned up when a thread ends that can run no more JavaScript: its children, which only their own
// process can reap, and the files that it has made.
//
// Who: one thread; the destructor may start another, which sleeps until the children have ended. Windows keeps nothing
// of a child that has ended.
#pragma once

#if defined(_WIN32)
#include "process/windows.h"
#else
#include <ftw.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdio>
#endif

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "process/quiet_thread.h"

namespace bosun {

class Leftovers {
 public:
  Leftovers() = default;
  Leftovers(const Leftovers&) = delete;
  Leftovers& operator=(const Leftovers&) = delete;
  ~Leftovers() {
    for (const std::string& path : paths_) Remove(path.c_str());
#if !defined(_WIN32)
    if (pids_.empty()) return;
    StartQuietThread([pids = std::vector<int>(pids_.begin(), pids_.end())] {
      for (const int pid : pids) {
        while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
        }
      }
    }).detach();
#endif
  }

  // Until Forget: nobody else waits for the child then. It is not ended by this.
  void ExpectChild(int pid) { pids_.insert(pid); }
  void ForgetChild(int pid) { pids_.erase(pid); }
  void ExpectPath(std::string path) { paths_.insert(std::move(path)); }
  void ForgetPath(const std::string& path) { paths_.erase(path); }

 private:
  // A file, or a folder with all that is in it. (std::filesystem would double the size of the addon.)
  static void Remove(const char* path) noexcept {
#if defined(_WIN32)
    RemovePath(path);
#else
    constexpr int kOpenFolders = 8;
    const auto remove = [](const char* found, const struct stat*, int, FTW*) { return std::remove(found); };
    ::nftw(path, remove, kOpenFolders, FTW_DEPTH | FTW_PHYS);
#endif
  }

  std::set<int> pids_;
  std::set<std::string> paths_;
};

}  // namespace bosun
