// A client that asks one TLS connection again and again, and says when the answer became another.
//
//   probe PORT REQUEST-FILE start CORE COMMAND ARGUMENT...
//   probe PORT REQUEST-FILE watch
//
// start: runs COMMAND on CORE, knocks until it answers, asks until it redirects, ends it, and
// prints one line of JSON: milliseconds from the fork to the first answer and to the first 307.
// watch: prints CLOCK_MONOTONIC and the Location at every change of it, until it is ended.
#include "client.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>

static char answer[4096];

static void pause_for(long microseconds) {
  nanosleep(&(struct timespec){.tv_nsec = microseconds * 1000}, NULL);
}

static pid_t spawn(int core, char **command) {
  pid_t child = fork();
  if (child) return child;
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(core, &cores);
  sched_setaffinity(0, sizeof cores, &cores);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  int null = open("/dev/null", O_RDWR);
  dup2(null, 0);
  dup2(null, 1);
  execvp(command[0], command);
  fail(command[0]);
  return -1;
}

static void end(pid_t child) {
  kill(child, SIGTERM);
  for (double limit = now() + WAIT_SECONDS; now() < limit; pause_for(1000)) {
    if (waitpid(child, NULL, WNOHANG) == child) return;
  }
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
}

// A connection with its handshake done; NULL where there is none yet.
static SSL *knock(void) {
  int descriptor = connect_socket();
  if (descriptor < 0) return NULL;
  SSL *session = make_session(descriptor);
  if (SSL_connect(session) == 1) return session;
  ERR_clear_error();
  SSL_free(session);
  close(descriptor);
  return NULL;
}

static int start(int core, char **command) {
  double forked = now(), limit = forked + WAIT_SECONDS, first = 0, redirect = 0;
  pid_t child = spawn(core, command);
  SSL *session = NULL;
  while (!redirect && now() < limit) {
    if (!session && !(session = knock())) {
      if (waitpid(child, NULL, WNOHANG) == child) return fputs("probe: it ended\n", stderr), 1;
      pause_for(100);
    } else if (ask(session, answer, sizeof answer)) {
      if (!first) first = now();
      if (is_redirect(answer)) redirect = now(); else pause_for(100);
    } else {
      close(SSL_get_fd(session));
      SSL_free(session);
      session = NULL;
    }
  }
  end(child);
  if (!redirect) return fputs("probe: no 307\n", stderr), 1;
  double to_first = (first - forked) * 1e3, to_redirect = (redirect - forked) * 1e3;
  printf("{\"first\": %.3f, \"redirect\": %.3f}\n", to_first, to_redirect);
  return 0;
}

static int watch(void) {
  char last[1024] = "", location[1024];
  SSL *session = knock();
  if (!session) fail("connect");
  while (ask(session, answer, sizeof answer)) {
    double time = now();
    const char *field = strcasestr(answer, "\r\nLocation: ");
    if (!field || sscanf(field + 12, "%1023[^\r]", location) != 1) location[0] = 0;
    if (strcmp(location, last) == 0) continue;
    strcpy(last, location);
    printf("%.9f %s\n", time, location);
    fflush(stdout);
  }
  return fputs("probe: the connection ended\n", stderr), 1;
}

int main(int count, char **arguments) {
  int starts = count > 5 && strcmp(arguments[3], "start") == 0;
  if (!starts && count != 4) return fputs("usage: see the top of probe.c\n", stderr), 64;
  prepare(arguments[1], arguments[2], TLS1_3_VERSION);
  return starts ? start(atoi(arguments[4]), arguments + 5) : watch();
}
