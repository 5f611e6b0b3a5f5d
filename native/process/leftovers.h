// What has to be cleaned up when a thread ends that can run no more JavaScript: its children, which only their own
// process can reap, and the files that it has made.
//
// Who: one thread; the destructor may start another, which sleeps until the children have ended. POSIX only.
#pragma once

#include <sys/wait.h>

#include <cerrno>
#include <filesystem>
#include <set>
#include <string>
#include <system_error>
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
    for (const std::string& path : paths_) {
      std::error_code ignored;
      std::filesystem::remove_all(path, ignored);
    }
    if (pids_.empty()) return;
    StartQuietThread([pids = std::vector<pid_t>(pids_.begin(), pids_.end())] {
      for (const pid_t pid : pids) {
        while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
        }
      }
    }).detach();
  }

  // Until Forget: nobody else waits for the child then. It is not ended by this.
  void ExpectChild(pid_t pid) { pids_.insert(pid); }
  void ForgetChild(pid_t pid) { pids_.erase(pid); }
  void ExpectPath(std::string path) { paths_.insert(std::move(path)); }
  void ForgetPath(const std::string& path) { paths_.erase(path); }

 private:
  std::set<pid_t> pids_;
  std::set<std::string> paths_;
};

}  // namespace bosun
