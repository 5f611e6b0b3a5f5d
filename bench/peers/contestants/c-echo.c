// Ping-pong of 64 bytes over a Unix socket between two processes, nobody spins: what a wake-up of the other side costs
// here. Prints the time of each round trip, in nanoseconds.
//
// c-echo <round trips>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { kSize = 64, kWarmUp = 1000 };

static void ReadAll(int fd, char* buffer) {
  for (ssize_t have = 0; have < kSize;) {
    const ssize_t n = read(fd, buffer + have, (size_t)(kSize - have));
    if (n <= 0) exit(n == 0 ? 0 : 1);
    have += n;
  }
}

static void WriteAll(int fd, const char* buffer) {
  if (write(fd, buffer, kSize) != kSize) exit(1);
}

static uint64_t Now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int main(int argc, char** argv) {
  const long count = argc > 1 ? atol(argv[1]) : 1000;
  char buffer[kSize] = {0};
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return 1;
  const pid_t child = fork();
  if (child < 0) return 1;
  const int fd = ends[child == 0];
  close(ends[child != 0]);
  if (child == 0) {
    for (;;) {
      ReadAll(fd, buffer);
      WriteAll(fd, buffer);
    }
  }
  for (long i = -kWarmUp; i < count; i++) {
    const uint64_t start = Now();
    WriteAll(fd, buffer);
    ReadAll(fd, buffer);
    if (i >= 0) printf("%llu\n", (unsigned long long)(Now() - start));
  }
  return 0;
}
