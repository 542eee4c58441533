// Load over TLS connections that stay: as much as the server answers, or at a constant rate.
//
//   load PORT REQUEST-FILE OPEN BUSY
//
// Opens OPEN connections, each of which asks once, and says so in a line; BUSY of them, evenly
// spread, do the rest. Then each line of standard input, "SECONDS RATE", is a round, answered by a
// line of JSON; the program ends with its input.
//
// RATE 0 asks again on a connection as soon as it has its answer. Another rate is an open loop, and
// its latencies are free of coordinated omission as wrk2's are: request k is due at k / RATE on
// connection k mod BUSY, whatever became of the ones before it; one that finds its connection
// waiting is sent late, and its latency counts from when it was due.
#include "client.h"
#include <math.h>
#include <sys/epoll.h>

typedef struct {
  int descriptor;
  SSL *session;
  long due, done;  // requests of this round
  int waiting, length;
  double sent;
  char answer[2048];
} Connection;

static Connection **busy;
static int busy_count, poller;
static double started, rate;
static float *latencies;  // microseconds
static long latency_count, latency_capacity, failed;

static void note(double seconds) {
  if (latency_count == latency_capacity) {
    latency_capacity = latency_capacity ? latency_capacity * 2 : 1 << 16;
    latencies = realloc(latencies, (size_t)latency_capacity * sizeof *latencies);
    if (!latencies) fail("realloc");
  }
  latencies[latency_count++] = (float)(seconds * 1e6);
}

static void transmit(Connection *connection) {
  connection->waiting = 1;
  connection->length = 0;
  connection->sent = now();
  if (SSL_write(connection->session, request, request_length) != request_length) {
    fputs("load: a request could not be sent\n", stderr);
    exit(1);
  }
}

// Reads what is there; 1 where an answer is whole. A connection that ended is the end of all.
static int receive(Connection *connection) {
  char *answer = connection->answer;
  int room = (int)sizeof connection->answer - 1 - connection->length;
  int count = SSL_read(connection->session, answer + connection->length, room);
  if (count <= 0) {
    if (SSL_get_error(connection->session, count) == SSL_ERROR_WANT_READ) return 0;
    fputs("load: the server closed a connection\n", stderr);
    exit(1);
  }
  connection->length += count;
  answer[connection->length] = 0;
  if (!is_whole(answer, connection->length)) return 0;
  failed += !is_redirect(answer);
  connection->waiting = 0;
  return 1;
}

// Waits for answers until `until`; `next` says what a connection does that has one.
static void wait_for_answers(double until, void (*next)(Connection *, int, double)) {
  struct epoll_event ready[256];
  double left = fmax(until - now(), 0);
  struct timespec wait = {.tv_sec = (time_t)left, .tv_nsec = (long)(fmod(left, 1) * 1e9)};
  int many = epoll_pwait2(poller, ready, 256, &wait, NULL);
  for (int index = 0; index < many; index++) {
    int number = (int)ready[index].data.u32;
    if (receive(busy[number])) next(busy[number], number, now());
  }
}

static double end_of_asking;
static long outstanding;

static void ask_again(Connection *connection, int number, double time) {
  (void)number;
  note(time - connection->sent);
  if (time < end_of_asking) {
    transmit(connection);
  } else {
    outstanding--;
  }
}

static void run_closed(double seconds) {
  end_of_asking = started + seconds;
  outstanding = busy_count;
  for (int index = 0; index < busy_count; index++) transmit(busy[index]);
  while (outstanding > 0 && now() < end_of_asking + WAIT_SECONDS) {
    wait_for_answers(end_of_asking + WAIT_SECONDS, ask_again);
  }
  failed += outstanding;
}

static void ask_what_is_due(Connection *connection, int number, double time) {
  double was_due = started + (double)(connection->done * busy_count + number) / rate;
  note(time - was_due);
  connection->done++;
  outstanding--;
  if (connection->due > connection->done) transmit(connection);
}

static void run_constant(double seconds) {
  long total = (long)(rate * seconds), next = 0;
  double end = started + seconds + WAIT_SECONDS;
  outstanding = total;
  for (int index = 0; index < busy_count; index++) busy[index]->due = busy[index]->done = 0;
  while (outstanding > 0 && now() < end) {
    for (double time = now(); next < total && started + (double)next / rate <= time; next++) {
      Connection *connection = busy[next % busy_count];
      connection->due++;
      if (!connection->waiting) transmit(connection);
    }
    wait_for_answers(next < total ? started + (double)next / rate : end, ask_what_is_due);
  }
  failed += outstanding;
}

static void open_connections(int open) {
  Connection *all = calloc((size_t)open, sizeof *all);
  busy = calloc((size_t)busy_count, sizeof *busy);
  poller = epoll_create1(EPOLL_CLOEXEC);
  for (int index = 0; index < open; index++) {
    Connection *connection = &all[index];
    connection->descriptor = connect_socket();
    if (connection->descriptor < 0) fail("connect");
    connection->session = make_session(connection->descriptor);
    failed += !ask(connection->session, connection->answer, sizeof connection->answer);
  }
  for (int number = 0; number < busy_count; number++) {
    busy[number] = &all[(long)number * open / busy_count];
    BIO_socket_nbio(busy[number]->descriptor, 1);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)number};
    epoll_ctl(poller, EPOLL_CTL_ADD, busy[number]->descriptor, &event);
  }
  printf("{\"open\": %d, \"failed\": %ld}\n", open, failed);
  fflush(stdout);
}

static int compare(const void *left, const void *right) {
  float a = *(const float *)left, b = *(const float *)right;
  return (a > b) - (a < b);
}

static double percentile(double share) {
  return latency_count ? latencies[(long)ceil(share * (double)latency_count) - 1] : 0;
}

int main(int count, char **arguments) {
  if (count != 5) return fputs("usage: see the top of load.c\n", stderr), 64;
  prepare(arguments[1], arguments[2], TLS1_3_VERSION);
  prctl(PR_SET_TIMERSLACK, 1);  // else the kernel wakes us up to 50 µs after a request is due
  busy_count = atoi(arguments[4]);
  open_connections(atoi(arguments[3]));
  char line[128];
  while (fgets(line, sizeof line, stdin)) {
    double seconds = 0;
    if (sscanf(line, "%lf %lf", &seconds, &rate) != 2) return 64;
    latency_count = failed = 0;
    started = now();
    if (rate > 0) run_constant(seconds); else run_closed(seconds);
    double took = now() - started;
    qsort(latencies, (size_t)latency_count, sizeof *latencies, compare);
    printf(
        "{\"answered\": %ld, \"failed\": %ld, \"seconds\": %.6f, \"p50\": %.1f, \"p99\": %.1f, "
        "\"p999\": %.1f, \"max\": %.1f}\n",
        latency_count, failed, took, percentile(0.5), percentile(0.99), percentile(0.999),
        percentile(1));
    fflush(stdout);
  }
}
