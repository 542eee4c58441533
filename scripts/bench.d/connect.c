// A client for what wrk cannot do: wrk resumes its TLS sessions, and so never makes a new connection.
//
//   connect PORT REQUEST-FILE new|resumed 1.2|1.3 CONCURRENCY SECONDS
//   connect PORT REQUEST-FILE idle 1.2|1.3 CONNECTIONS
//
// new, resumed: connections that ask once and read until the server closes, CONCURRENCY at a time.
// idle: each connection asks once, reads the answer and stays; prints its line, and ends with
// its standard input. The line is JSON: how many were answered with 307, resumed, and failed.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

typedef struct {
  int descriptor;
  SSL *session;
  SSL_SESSION *ticket;  // what the last connection of this slot was given
  int asked;
  int length;
  char answer[4096];
} Slot;

static struct sockaddr_in server = {.sin_family = AF_INET};
static SSL_CTX *context;
static char request[4096];
static int request_length, slot_index, resumes, poller;
static long answered, resumed, failed;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int keep_ticket(SSL *session, SSL_SESSION *ticket) {
  Slot *slot = SSL_get_ex_data(session, slot_index);
  SSL_SESSION_free(slot->ticket);
  slot->ticket = ticket;
  return 1;  // it is ours now
}

static void open_slot(Slot *slot) {
  slot->descriptor = socket(AF_INET, SOCK_STREAM, 0);
  if (slot->descriptor < 0) fail("socket");
  if (connect(slot->descriptor, (struct sockaddr *)&server, sizeof server)) fail("connect");
  setsockopt(slot->descriptor, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  slot->session = SSL_new(context);
  slot->asked = slot->length = 0;
  SSL_set_ex_data(slot->session, slot_index, slot);
  SSL_set_tlsext_host_name(slot->session, "localhost");
  SSL_set_fd(slot->session, slot->descriptor);
  SSL_set_connect_state(slot->session);
  if (resumes && slot->ticket) SSL_set_session(slot->session, slot->ticket);
}

static void close_slot(Slot *slot) {
  int right = slot->length > 12 && memcmp(slot->answer, "HTTP/1.1 307", 12) == 0;
  answered += right;
  failed += !right;
  resumed += SSL_session_reused(slot->session);
  SSL_shutdown(slot->session);
  SSL_free(slot->session);
  ERR_clear_error();
  close(slot->descriptor);
}

// Asks, and reads what is there; 1 where the server has closed or failed.
static int advance(Slot *slot) {
  if (!slot->asked) {
    int count = SSL_write(slot->session, request, request_length);
    if (count <= 0) return SSL_get_error(slot->session, count) != SSL_ERROR_WANT_READ;
    slot->asked = 1;
  }
  for (;;) {
    int room = (int)sizeof slot->answer - slot->length;
    int count = SSL_read(slot->session, slot->answer + slot->length, room);
    if (count <= 0) return SSL_get_error(slot->session, count) != SSL_ERROR_WANT_READ;
    slot->length += count;
  }
}

static void set_blocking(int descriptor, int blocking) {
  struct timeval wait = {.tv_sec = 10};
  setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  BIO_socket_nbio(descriptor, !blocking);
}

// Opens a connection that waits for the server; 0 where the time was up first. A server that shares
// our core may answer before we ask it to: then the connection is over already, and another follows.
static int start(Slot *slot, double end) {
  while (now() < end) {
    open_slot(slot);
    set_blocking(slot->descriptor, 0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = slot};
    epoll_ctl(poller, EPOLL_CTL_ADD, slot->descriptor, &event);
    if (!advance(slot)) return 1;
    close_slot(slot);
  }
  return 0;
}

static void run(int concurrency, double seconds) {
  Slot *slots = calloc((size_t)concurrency, sizeof *slots);
  struct epoll_event ready[256];
  double end = now() + seconds;
  int open = 0;
  poller = epoll_create1(0);
  for (int index = 0; index < concurrency; index++) open += start(&slots[index], end);
  while (open > 0) {
    int many = epoll_wait(poller, ready, 256, 10000);
    if (many == 0) {
      failed += open;  // nothing came for ten seconds
      return;
    }
    for (int index = 0; index < many; index++) {
      Slot *slot = ready[index].data.ptr;
      if (!advance(slot)) continue;
      close_slot(slot);
      open += start(slot, end) - 1;
    }
  }
}

static void stay(int connections) {
  Slot *slots = calloc((size_t)connections, sizeof *slots);
  for (int index = 0; index < connections; index++) {
    Slot *slot = &slots[index];
    open_slot(slot);
    set_blocking(slot->descriptor, 1);
    int good = SSL_write(slot->session, request, request_length) == request_length &&
               SSL_read(slot->session, slot->answer, sizeof slot->answer) > 12 &&
               memcmp(slot->answer, "HTTP/1.1 307", 12) == 0;
    answered += good;
    failed += !good;
  }
}

static void read_request(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) fail(path);
  request_length = (int)fread(request, 1, sizeof request, file);
  fclose(file);
}

int main(int count, char **arguments) {
  if (count < 6) return fputs("usage: see the top of connect.c\n", stderr), 64;
  int idle = strcmp(arguments[3], "idle") == 0;
  int version = strcmp(arguments[4], "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
  signal(SIGPIPE, SIG_IGN);
  server.sin_port = htons((uint16_t)atoi(arguments[1]));
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  read_request(arguments[2]);
  resumes = strcmp(arguments[3], "resumed") == 0;
  context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_min_proto_version(context, version);
  SSL_CTX_set_max_proto_version(context, version);
  slot_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
  if (resumes) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, keep_ticket);
  }
  if (idle) {
    stay(atoi(arguments[5]));
  } else {
    run(atoi(arguments[5]), count > 6 ? atof(arguments[6]) : 1);
  }
  printf("{\"answered\": %ld, \"resumed\": %ld, \"failed\": %ld}\n", answered, resumed, failed);
  fflush(stdout);
  if (idle && getchar() != EOF) return 1;
}
