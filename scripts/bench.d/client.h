// What the clients here share: the address, the request, the TLS context, a blocking connection.
#pragma once
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WAIT_SECONDS 10  // for any one answer

static struct sockaddr_in server = {.sin_family = AF_INET};
static SSL_CTX *context;
static char request[4096];
static int request_length;

static inline void fail(const char *what) {
  perror(what);
  exit(1);
}

// Seconds of CLOCK_MONOTONIC, as Python's time.monotonic().
static inline double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

// Reads the request, and ends with the process that started us.
static inline void prepare(const char *port, const char *path, int version) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  signal(SIGPIPE, SIG_IGN);
  server.sin_port = htons((uint16_t)atoi(port));
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  FILE *file = fopen(path, "rb");
  if (!file) fail(path);
  request_length = (int)fread(request, 1, sizeof request, file);
  fclose(file);
  context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_min_proto_version(context, version);
  SSL_CTX_set_max_proto_version(context, version);
}

// A connected socket that waits WAIT_SECONDS at most; -1 where nobody listens.
static inline int connect_socket(void) {
  int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) fail("socket");
  struct timeval wait = {.tv_sec = WAIT_SECONDS};
  setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  if (connect(descriptor, (struct sockaddr *)&server, sizeof server)) {
    close(descriptor);
    return -1;
  }
  return descriptor;
}

static inline SSL *make_session(int descriptor) {
  SSL *session = SSL_new(context);
  SSL_set_tlsext_host_name(session, "localhost");
  SSL_set_fd(session, descriptor);
  SSL_set_connect_state(session);
  return session;
}

static inline int is_redirect(const char *answer) {
  return strncmp(answer, "HTTP/1.1 307", 12) == 0;
}

// Whether `answer`, ended by a NUL, holds one whole response: its head, and the body it announces.
static inline int is_whole(const char *answer, int length) {
  const char *end = strstr(answer, "\r\n\r\n");
  if (!end) return 0;
  const char *field = strcasestr(answer, "\r\nContent-Length:");
  return length >= end + 4 - answer + (field && field < end ? atoi(field + 17) : 0);
}

// Asks once over a blocking session; 0 where no whole answer came.
static inline int ask(SSL *session, char *answer, int capacity) {
  int length = 0;
  if (SSL_write(session, request, request_length) != request_length) return 0;
  do {
    int count = SSL_read(session, answer + length, capacity - 1 - length);
    if (count <= 0) return 0;
    length += count;
    answer[length] = 0;
  } while (!is_whole(answer, length));
  return 1;
}
