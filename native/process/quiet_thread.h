// Threads of our own inside a Node.js process.
#pragma once

#if !defined(_WIN32)
#include <pthread.h>
#include <signal.h>
#endif

#include <thread>
#include <utility>

namespace bosun {

// Starts a thread that gets no signals: they are for the threads of Node.
template <class Body>
std::thread StartQuietThread(Body&& body) {
#if defined(_WIN32)
  return std::thread(std::forward<Body>(body));
#else
  sigset_t all, before;
  sigfillset(&all);  // a macro on macOS
  // A thread begins with the mask of the one that starts it.
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(std::forward<Body>(body));
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
#endif
}

}  // namespace bosun
