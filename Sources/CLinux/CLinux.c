#define _GNU_SOURCE
#include "CLinux.h"

#include <linux/sockios.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/sysinfo.h>
#include <unistd.h>

int clinux_accept4(int listener, struct sockaddr *address, socklen_t *length) {
  return accept4(listener, address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

int clinux_processors(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) {
    return -1;
  }
  return CPU_COUNT(&set);
}

int clinux_unsent(int socket) {
  int bytes;
  return ioctl(socket, SIOCOUTQNSD, &bytes) == 0 ? bytes : -1;
}

int clinux_unread(int socket) {
  int bytes;
  return ioctl(socket, SIOCINQ, &bytes) == 0 ? bytes : -1;
}

int clinux_forbid_dumps(void) { return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

uint64_t clinux_memory_bytes(void) {
  struct sysinfo info;
  return sysinfo(&info) == 0 ? (uint64_t)info.totalram * info.mem_unit : 0;
}

char **clinux_environment(void) { return environ; }

void clinux_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

void clinux_use_one_arena(void) { mallopt(M_ARENA_MAX, 1); }
