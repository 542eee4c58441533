// What `import Glibc` lacks: Linux's own calls, under their own names where C allows it.
#ifndef CLINUX_H
#define CLINUX_H

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

/// accept4(2) with SOCK_NONBLOCK | SOCK_CLOEXEC; glibc declares it only under _GNU_SOURCE.
int clinux_accept4(int listener, struct sockaddr *_Nullable address, socklen_t *_Nullable length);

/// The number of processors this process may run on: sched_getaffinity(2), or -1.
int clinux_processors(void);

/// The variables of this process's environment, as environ(7) has them.
char *_Nullable *_Nullable clinux_environment(void);

/// Bytes of a connected TCP socket that are not sent yet (SIOCOUTQNSD); -1 where the kernel does not say.
int clinux_unsent(int socket);

/// Bytes of a connected TCP socket that have come and are not read (SIOCINQ, tcp(7)); -1 where the kernel does not say.
int clinux_unread(int socket);

/// Makes this process not dumpable (PR_SET_DUMPABLE, prctl(2)); -1 where the kernel refuses.
int clinux_forbid_dumps(void);

/// Bytes of memory that this machine has (sysinfo(2), which needs no /proc); 0 where the kernel does not say.
uint64_t clinux_memory_bytes(void);

/// Has malloc keep to one arena (mallopt(3)): before the first thread.
void clinux_use_one_arena(void);

/// Names the calling thread for ps and gdb: at most 15 bytes.
void clinux_name_thread(const char *_Nonnull name);

#endif
