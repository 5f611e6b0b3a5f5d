// The least that a round trip between two processes by Unix datagrams costs: ping_pong <directory> <count>
// prints one round trip in nanoseconds per line.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_un AddressIn(const char* directory, const char* name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", directory, name);
  return address;
}

static int OpenAt(const struct sockaddr_un* address) {
  const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  if (fd < 0 || bind(fd, (const struct sockaddr*)address, sizeof *address) != 0) exit(1);
  return fd;
}

static uint64_t Now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const long count = atol(argv[2]);
  const struct sockaddr_un one = AddressIn(argv[1], "one"), other = AddressIn(argv[1], "other");
  const int mine = OpenAt(&one), its = OpenAt(&other);
  const pid_t child = fork();
  char memory[256];
  if (child == 0) {
    for (long i = 0; i < count; ++i) {
      const ssize_t size = recv(its, memory, sizeof memory, 0);
      sendto(its, memory, (size_t)size, 0, (const struct sockaddr*)&one, sizeof one);
    }
    _exit(0);
  }
  for (long i = 0; i < count; ++i) {
    const uint64_t begun = Now();
    sendto(mine, memory, 40, 0, (const struct sockaddr*)&other, sizeof other);
    recv(mine, memory, sizeof memory, 0);
    printf("%llu\n", (unsigned long long)(Now() - begun));
  }
  waitpid(child, NULL, 0);
  return 0;
}
