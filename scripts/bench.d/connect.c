// A client for what wrk cannot do: wrk resumes its sessions, and so never makes a new connection.
//
//   connect PORT REQUEST-FILE new|resumed 1.2|1.3 CONCURRENCY SECONDS
//
// Connections that ask once and read until the server closes, CONCURRENCY at a time; those of
// `resumed` use the ticket of the one before. Prints a line of JSON: how many were answered with
// 307, resumed, and failed.
#include "client.h"
#include <sys/epoll.h>

typedef struct {
  int descriptor;
  SSL *session;
  SSL_SESSION *ticket;  // what the last connection of this slot was given
  int asked;
  int length;
  char answer[4096];
} Slot;

static int slot_index, resumes, poller;
static long answered, resumed, failed;

static int keep_ticket(SSL *session, SSL_SESSION *ticket) {
  Slot *slot = SSL_get_ex_data(session, slot_index);
  SSL_SESSION_free(slot->ticket);
  slot->ticket = ticket;
  return 1;  // it is ours now
}

static void open_slot(Slot *slot) {
  slot->descriptor = connect_socket();
  if (slot->descriptor < 0) fail("connect");
  slot->session = make_session(slot->descriptor);
  slot->asked = slot->length = 0;
  SSL_set_ex_data(slot->session, slot_index, slot);
  if (resumes && slot->ticket) SSL_set_session(slot->session, slot->ticket);
}

static void close_slot(Slot *slot) {
  int right = slot->length > 12 && is_redirect(slot->answer);
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

// Opens a connection that waits for the server; 0 where the time was up first. A server that shares
// our core may answer before we wait for it: then the connection is over, and another follows.
static int start(Slot *slot, double end) {
  while (now() < end) {
    open_slot(slot);
    BIO_socket_nbio(slot->descriptor, 1);
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
    int many = epoll_wait(poller, ready, 256, WAIT_SECONDS * 1000);
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

int main(int count, char **arguments) {
  if (count != 7) return fputs("usage: see the top of connect.c\n", stderr), 64;
  int version = strcmp(arguments[4], "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
  prepare(arguments[1], arguments[2], version);
  resumes = strcmp(arguments[3], "resumed") == 0;
  slot_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
  if (resumes) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, keep_ticket);
  }
  run(atoi(arguments[5]), atof(arguments[6]));
  printf("{\"answered\": %ld, \"resumed\": %ld, \"failed\": %ld}\n", answered, resumed, failed);
}
