// The floor to compare with: one epoll loop that answers every read with the same 307, unparsed.
//
//   floor PLAIN-PORT LOCATION                     one read, one send
//   floor TLS-PORT LOCATION CHAIN KEY             the same over OpenSSL, as it comes
//
// A request that holds "Connection: close" ends its connection, so that the floor can serve the
// scenario of new connections too; that search is all the parsing there is.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

typedef struct {
  int descriptor;
  SSL *session;  // NULL on the plain port
} Connection;

static char answer[2][1024];  // kept open, and closed
static size_t answer_length[2];

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void render_answers(const char *location) {
  for (int closes = 0; closes < 2; closes++) {
    answer_length[closes] = (size_t)snprintf(
        answer[closes], sizeof answer[closes],
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: %s\r\nCache-Control: no-store\r\n"
        "Content-Length: 0\r\nServer: floor\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n%s\r\n",
        location, closes ? "Connection: close\r\n" : "");
  }
}

static int listen_on(const char *port) {
  int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
  if (bind(descriptor, (struct sockaddr *)&address, sizeof address)) fail("bind");
  if (listen(descriptor, 4096)) fail("listen");
  return descriptor;
}

static SSL_CTX *make_context(const char *chain, const char *key) {
  SSL_CTX *context = SSL_CTX_new(TLS_server_method());
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  if (SSL_CTX_use_certificate_chain_file(context, chain) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
    ERR_print_errors_fp(stderr);
    exit(1);
  }
  return context;
}

static void accept_all(int poller, int listener, SSL_CTX *context) {
  int descriptor;
  while ((descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
    Connection *connection = calloc(1, sizeof *connection);
    connection->descriptor = descriptor;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (context) {
      connection->session = SSL_new(context);
      SSL_set_fd(connection->session, descriptor);
      SSL_set_accept_state(connection->session);
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event);
  }
}

static void close_connection(Connection *connection) {
  if (connection->session) {
    SSL_shutdown(connection->session);
    SSL_free(connection->session);
    ERR_clear_error();
  }
  close(connection->descriptor);
  free(connection);
}

// Reads what is there; 0 where nothing is yet, -1 where the connection is over.
static int receive(Connection *connection, char *buffer, int capacity) {
  if (connection->session) {
    int count = SSL_read(connection->session, buffer, capacity);
    if (count > 0) return count;
    return SSL_get_error(connection->session, count) == SSL_ERROR_WANT_READ ? 0 : -1;
  }
  ssize_t count = recv(connection->descriptor, buffer, (size_t)capacity, 0);
  if (count > 0) return (int)count;
  return count < 0 && errno == EAGAIN ? 0 : -1;
}

static int transmit(Connection *connection, int closes) {
  int length = (int)answer_length[closes];
  if (connection->session) return SSL_write(connection->session, answer[closes], length) == length;
  return send(connection->descriptor, answer[closes], (size_t)length, MSG_NOSIGNAL) == length;
}

static void serve(Connection *connection) {
  char buffer[16384];
  int count = receive(connection, buffer, sizeof buffer);
  if (count == 0) return;
  if (count < 0) {
    close_connection(connection);
    return;
  }
  int closes = memmem(buffer, (size_t)count, "Connection: close", 17) != NULL;
  if (!transmit(connection, closes) || closes) close_connection(connection);
}

int main(int count, char **arguments) {
  if (count != 3 && count != 5) return fputs("floor PORT LOCATION [CHAIN KEY]\n", stderr), 64;
  signal(SIGPIPE, SIG_IGN);
  render_answers(arguments[2]);
  SSL_CTX *context = count == 5 ? make_context(arguments[3], arguments[4]) : NULL;
  int listener = listen_on(arguments[1]), poller = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN}, ready[512];
  epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    int many = epoll_wait(poller, ready, 512, -1);
    for (int index = 0; index < many; index++) {
      if (ready[index].data.ptr) {
        serve(ready[index].data.ptr);
      } else {
        accept_all(poller, listener, context);
      }
    }
  }
}
