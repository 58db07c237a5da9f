// See server.h.
#include "runner/live/server.h"

#include <string.h>

bool address_is_loopback(const char *address) {
  return strcmp(address, "localhost") == 0 || strcmp(address, "::1") == 0 || starts_with(address, "127.");
}

#ifndef ISOLOSS_MICROHTTPD

bool server_available(struct error *error) {
  return error_set(error, EXIT_ENVIRONMENT,
                   "this isoloss was built without libmicrohttpd: install libmicrohttpd-dev and build again (./setup); "
                   "isoloss top and isoloss status show the runs in a terminal");
}
struct server *server_begin(const struct server_options *options, int *port, struct error *error) {
  (void)options, (void)port;
  server_available(error);
  return NULL;
}
void server_follow(struct server *server, int signals) { (void)server, (void)signals; }
void server_end(struct server *server) { (void)server; }

#else

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "plots/plots.h"
#include "runner/live/documents.h"
#include "runner/live/pages.h"
#include "runner/live/topics.h"
#include "runner/slurm/status.h"

enum { CONNECTIONS = 128, CACHED = 32, CURVE_POINTS = 400, HEARTBEAT_SECONDS = 15, COLLECT_SECONDS = 10 };

// A document that is costly to make serves all who ask for it within a while: a hundred times what it took
// of the processor.
struct cached {
  char *what;  // path and experiment
  struct text text;
  double until;  // monotonic
};

struct server {
  struct server_options options;
  struct MHD_Daemon *daemon;
  pthread_mutex_t lock;  // of the topics, which both threads touch
  struct topics topics;
  struct cached cached[CACHED];  // of the thread that answers
  size_t next_cached;
  const char *colours;  // CSS
  struct arena arena;
};

bool server_available(struct error *error) {
  (void)error;
  return true;
}

// ---- who may ask ----

static bool same_text(const char *given, const char *wanted) {
  size_t length = strlen(wanted);
  unsigned char differs = strlen(given) != length;
  for (size_t i = 0; i < length && !differs; i++) differs |= (unsigned char)(given[i] ^ wanted[i]);
  return !differs;
}

// A page elsewhere whose name leads here (DNS rebinding) is a stranger to a server without a token.
static bool host_is_ours(const char *host) {
  static const char *const ours[] = {"localhost", "127.0.0.1", "[::1]"};
  for (size_t i = 0; host && i < sizeof ours / sizeof *ours; i++) {
    size_t length = strlen(ours[i]);
    if (strncmp(host, ours[i], length) == 0 && (host[length] == '\0' || host[length] == ':')) return true;
  }
  return false;
}

#define COOKIE "isoloss"

static bool may_ask(const struct server *server, struct MHD_Connection *connection) {
  const char *token = server->options.token;
  if (!token) return host_is_ours(MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST));
  const char *given = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "token");
  const char *kept = MHD_lookup_connection_value(connection, MHD_COOKIE_KIND, COOKIE);
  return (given && same_text(given, token)) || (kept && same_text(kept, token));
}

// ---- answers ----

static void add_headers(const struct server *server, struct MHD_Response *response, const char *type,
                        const char *policy) {
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
  MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
  MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
  MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
  MHD_add_response_header(response, "Content-Security-Policy", policy);
  if (!server->options.token) return;
  struct arena arena = {0};
  MHD_add_response_header(response, MHD_HTTP_HEADER_SET_COOKIE,
                          arena_format(&arena, COOKIE "=%s; HttpOnly; SameSite=Strict; Path=/", server->options.token));
  arena_free(&arena);
}

static enum MHD_Result send_text(const struct server *server, struct MHD_Connection *connection, unsigned code,
                                 const char *type, const char *policy, const char *bytes, size_t length) {
  struct MHD_Response *response =
      MHD_create_response_from_buffer(length, (void *)(uintptr_t)bytes, MHD_RESPMEM_MUST_COPY);
  if (!response) return MHD_NO;
  add_headers(server, response, type, policy);
  if (code == MHD_HTTP_METHOD_NOT_ALLOWED) MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
  enum MHD_Result result = MHD_queue_response(connection, code, response);
  MHD_destroy_response(response);
  return result;
}

#define NOTHING_LOADED "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

static enum MHD_Result send_json(const struct server *server, struct MHD_Connection *connection, unsigned code,
                                 const struct text *text) {
  return send_text(server, connection, code, "application/json", NOTHING_LOADED, text_string(text), text->length);
}

static enum MHD_Result send_problem(const struct server *server, struct MHD_Connection *connection, unsigned code,
                                    const char *problem) {
  struct text text = {0};
  struct json_writer json = json_writer(&text, false);
  json_object_begin(&json);
  json_key_string(&json, "error", problem);
  json_object_end(&json);
  enum MHD_Result result = send_json(server, connection, code, &text);
  text_free(&text);
  return result;
}

// The page with its colours and a word of this answer alone, by which the browser knows script and style for ours.
static enum MHD_Result send_page(const struct server *server, struct MHD_Connection *connection) {
  unsigned char bytes[16];
  char word[33];
  struct text page = {0}, policy = {0};
  if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
    return send_problem(server, connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "no random numbers");
  for (size_t i = 0; i < sizeof bytes; i++) snprintf(word + 2 * i, 3, "%02x", bytes[i]);
  for (const char *at = live_page, *mark; *at; at = mark) {
    mark = strstr(at, "{{");
    text_append(&page, at, mark ? (size_t)(mark - at) : strlen(at));
    if (!mark) break;
    text_add(&page, starts_with(mark, "{{nonce}}") ? word : server->colours);
    mark = strstr(mark, "}}") + 2;
  }
  text_format(&policy,
              "default-src 'none'; script-src 'nonce-%s'; style-src 'nonce-%s'; connect-src 'self'; img-src data:; "
              "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
              word, word);
  enum MHD_Result result = send_text(server, connection, MHD_HTTP_OK, "text/html; charset=utf-8", text_string(&policy),
                                     page.bytes, page.length);
  text_free(&page);
  text_free(&policy);
  return result;
}

// ---- documents ----

static struct cached *find_cached(struct server *server, const char *what) {
  for (size_t i = 0; i < CACHED; i++)
    if (server->cached[i].what && strcmp(server->cached[i].what, what) == 0) return &server->cached[i];
  struct cached *cached = &server->cached[server->next_cached++ % CACHED];
  free(cached->what);
  text_free(&cached->text);
  *cached = (struct cached){.what = strdup(what)};
  return cached;
}

// An open store with the experiment that was asked for in it. NULL with an error, of which *code says what it is in
// HTTP.
static struct store *open_store(const char *experiment, unsigned *code, struct error *error) {
  *code = MHD_HTTP_SERVICE_UNAVAILABLE;
  if (!store_exists_home()) {
    error_set(error, EXIT_ENVIRONMENT, "nothing has run yet");
    return NULL;
  }
  struct store *store = store_open_home(STORE_READ, error);
  if (store && (!experiment || store_experiment_expect(store, experiment, error))) return store;
  if (error->code == EXIT_USAGE_ERROR) *code = MHD_HTTP_NOT_FOUND;
  store_close(store);
  return NULL;
}

typedef bool document_maker(struct store *store, const char *experiment, struct text *out, struct error *error);

static bool make_experiments(struct store *store, const char *experiment, struct text *out, struct error *error) {
  (void)experiment;
  return document_experiments(store, out, error);
}

static const struct {
  const char *path;
  document_maker *make;
  bool of_experiment;
} documents[] = {
    {"/api/experiments", make_experiments, false},
    {"/api/runs", document_runs, true},
    {"/api/formats", document_formats, true},
    {"/api/fits", document_fits, true},
};

static enum MHD_Result send_document(struct server *server, struct MHD_Connection *connection, size_t which,
                                     const char *experiment) {
  struct error error = {0};
  unsigned code;
  if (documents[which].of_experiment && !experiment)
    return send_problem(server, connection, MHD_HTTP_BAD_REQUEST, "which experiment? ?experiment=NAME");
  struct text what = {0};
  text_format(&what, "%s %s", documents[which].path, documents[which].of_experiment ? experiment : "");
  struct cached *cached = find_cached(server, text_string(&what));
  text_free(&what);
  double begun = clock_thread_seconds();
  if (cached->text.length == 0 || clock_seconds() > cached->until) {
    text_clear(&cached->text);
    struct store *store = open_store(documents[which].of_experiment ? experiment : NULL, &code, &error);
    if (store) documents[which].make(store, experiment, &cached->text, &error);
    store_close(store);
    double took = clock_thread_seconds() - begun;
    cached->until = clock_seconds() + (100 * took > server->options.interval ? 100 * took : server->options.interval);
  }
  if (!error.code) return send_json(server, connection, MHD_HTTP_OK, &cached->text);
  text_clear(&cached->text);
  return send_problem(server, connection, code, error.text);
}

static enum MHD_Result send_curve(struct server *server, struct MHD_Connection *connection, const char *run) {
  struct error error = {0};
  struct arena arena = {0};
  struct text text = {0};
  unsigned code;
  if (!run) return send_problem(server, connection, MHD_HTTP_BAD_REQUEST, "which run? ?run=ID");
  struct store *store = open_store(NULL, &code, &error);
  const char *id = store ? store_run_find(store, &arena, run, &error) : NULL;
  if (store && !id) code = MHD_HTTP_NOT_FOUND;
  if (id) document_curve(store, id, CURVE_POINTS, &text, &error);
  store_close(store);
  enum MHD_Result result = error.code ? send_problem(server, connection, code, error.text)
                                      : send_json(server, connection, MHD_HTTP_OK, &text);
  text_free(&text);
  arena_free(&arena);
  return result;
}

// The page that isoloss report wrote, under its own rules.
static enum MHD_Result send_report(struct server *server, struct MHD_Connection *connection, const char *experiment) {
  struct error error = {0};
  struct arena arena = {0};
  unsigned code = MHD_HTTP_BAD_REQUEST;
  struct store *store = experiment ? open_store(experiment, &code, &error) : NULL;
  store_close(store);
  size_t length = 0;
  const char *bytes = NULL;
  if (store && !strchr(experiment, '/')) {
    const char *path = path_join(&arena, server->options.home, arena_format(&arena, "reports/%s.html", experiment));
    code = MHD_HTTP_NOT_FOUND;
    if (file_exists(path))
      bytes = file_read(&arena, path, &length, &error);
    else
      error_set(&error, EXIT_USAGE_ERROR, "there is no report yet: isoloss report %s writes it", experiment);
  }
  enum MHD_Result result =
      bytes ? send_text(server, connection, MHD_HTTP_OK, "text/html; charset=utf-8",
                        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
                        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox allow-scripts",
                        bytes, length)
            : send_problem(server, connection, code, error.code ? error.text : "which experiment? ?experiment=NAME");
  arena_free(&arena);
  return result;
}

// ---- events ----

static ssize_t read_events(void *context, uint64_t position, char *buffer, size_t most) {
  (void)position;
  struct watcher *watcher = context;
  struct server *server = watcher->server;
  ssize_t got = 0;
  pthread_mutex_lock(&server->lock);
  if (server->topics.ending)
    got = MHD_CONTENT_READER_END_OF_STREAM;
  else
    got = (ssize_t)watcher_read(watcher, buffer, most);
  if (got == 0) {
    watcher->asleep = true;
    MHD_suspend_connection(watcher->connection);
  }
  pthread_mutex_unlock(&server->lock);
  return got;
}

static void leave_events(void *context) {
  struct watcher *watcher = context;
  struct server *server = watcher->server;
  pthread_mutex_lock(&server->lock);
  topics_leave(&server->topics, watcher);
  pthread_mutex_unlock(&server->lock);
}

static enum MHD_Result send_events(struct server *server, struct MHD_Connection *connection, const char *experiment) {
  struct error error = {0};
  unsigned code;
  if (!experiment) return send_problem(server, connection, MHD_HTTP_BAD_REQUEST, "which experiment? ?experiment=NAME");
  struct store *store = open_store(experiment, &code, &error);
  store_close(store);
  if (!store) return send_problem(server, connection, code, error.text);
  pthread_mutex_lock(&server->lock);
  struct watcher *watcher = topics_join(&server->topics, experiment, server, connection);
  pthread_mutex_unlock(&server->lock);
  struct MHD_Response *response =
      MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 1 << 14, read_events, watcher, leave_events);
  if (!response) {
    leave_events(watcher);
    return MHD_NO;
  }
  add_headers(server, response, "text/event-stream", NOTHING_LOADED);
  enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
  MHD_destroy_response(response);
  return result;
}

// ---- requests ----

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *path, const char *method,
                              const char *version, const char *data, size_t *size, void **state) {
  (void)version, (void)data;
  static int seen;
  struct server *server = context;
  if (!*state) {  // headers first, the rest in a second call
    *state = &seen;
    return MHD_YES;
  }
  if (*size > 0) {
    *size = 0;
    return MHD_YES;
  }
  const char *experiment = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "experiment");
  if (!may_ask(server, connection))
    return send_problem(server, connection, MHD_HTTP_FORBIDDEN,
                        server->options.token ? "open the address that isoloss serve printed, with its token"
                                              : "this server answers to localhost and 127.0.0.1 alone");
  if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
    return send_problem(server, connection, MHD_HTTP_METHOD_NOT_ALLOWED, "this server only shows");
  for (size_t i = 0; i < sizeof documents / sizeof *documents; i++)
    if (strcmp(path, documents[i].path) == 0) return send_document(server, connection, i, experiment);
  if (strcmp(path, "/") == 0) return send_page(server, connection);
  if (strcmp(path, "/api/curve") == 0)
    return send_curve(server, connection, MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "run"));
  if (strcmp(path, "/api/events") == 0) return send_events(server, connection, experiment);
  if (strcmp(path, "/report") == 0) return send_report(server, connection, experiment);
  return send_problem(server, connection, MHD_HTTP_NOT_FOUND, "there is no such page");
}

// ---- beginning and ending ----

static bool read_address(const struct server_options *options, struct sockaddr_storage *address, bool *is_six,
                         struct error *error) {
  const char *text = strcmp(options->address, "localhost") == 0 ? "127.0.0.1" : options->address;
  struct sockaddr_in *four = (struct sockaddr_in *)address;
  struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;
  memset(address, 0, sizeof *address);
  *is_six = strchr(text, ':') != NULL;
  int family = *is_six ? AF_INET6 : AF_INET;
  address->ss_family = (sa_family_t)family;
  if (inet_pton(family, text, *is_six ? (void *)&six->sin6_addr : (void *)&four->sin_addr) != 1)
    return error_set(error, EXIT_USAGE_ERROR, "serve: --address '%s' is no address: 127.0.0.1, 0.0.0.0, ::1",
                     options->address);
  *(*is_six ? &six->sin6_port : &four->sin_port) = htons((uint16_t)options->port);
  return true;
}

struct server *server_begin(const struct server_options *options, int *port, struct error *error) {
  struct sockaddr_storage address;
  bool six;
  if (!read_address(options, &address, &six, error)) return NULL;
  struct server *server = memory_get(sizeof *server);
  struct text colours = {0};
  server->options = *options;
  figure_css(&colours);
  server->colours = arena_string(&server->arena, text_string(&colours));
  text_free(&colours);
  pthread_mutex_init(&server->lock, NULL);
  errno = 0;
  server->daemon = MHD_start_daemon(
      MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO | MHD_ALLOW_SUSPEND_RESUME | (six ? MHD_USE_IPv6 : 0),
      (uint16_t)options->port, NULL, NULL, answer, server, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
      MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, 60u, MHD_OPTION_END);
  if (!server->daemon) {
    error_set_errno(error, EXIT_ENVIRONMENT, "cannot listen at %s, port %d (--port 0 takes one that is free)",
                    options->address, options->port);
    server_end(server);
    return NULL;
  }
  const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT);
  *port = info ? info->port : options->port;
  return server;
}

void server_follow(struct server *server, int signals) {
  struct pollfd end = {signals, POLLIN, 0};
  double collected = 0, beat = 0;
  while (poll(&end, 1, (int)(server->options.interval * 1000)) <= 0) {
    double now = clock_seconds();
    pthread_mutex_lock(&server->lock);
    bool watched = server->topics.count > 0;
    pthread_mutex_unlock(&server->lock);
    if (!watched) continue;
    if (now > collected + COLLECT_SECONDS) {
      struct slurm_status slurm;
      slurm_status_take(&slurm, server->options.home);
      slurm_status_free(&slurm);
      collected = now;
    }
    bool with_beat = now > beat + HEARTBEAT_SECONDS;
    if (with_beat) beat = now;
    pthread_mutex_lock(&server->lock);
    topics_look(&server->topics, with_beat);
    for (size_t i = 0; i < server->topics.watcher_count; i++) {
      struct watcher *watcher = server->topics.watchers[i];
      if (!watcher->asleep || !watcher_has_news(watcher)) continue;
      watcher->asleep = false;
      MHD_resume_connection(watcher->connection);
    }
    pthread_mutex_unlock(&server->lock);
  }
}

void server_end(struct server *server) {
  if (!server) return;
  pthread_mutex_lock(&server->lock);
  server->topics.ending = true;
  for (size_t i = 0; i < server->topics.watcher_count; i++) {
    struct watcher *watcher = server->topics.watchers[i];
    if (watcher->asleep) MHD_resume_connection(watcher->connection);
    watcher->asleep = false;
  }
  pthread_mutex_unlock(&server->lock);
  if (server->daemon) MHD_stop_daemon(server->daemon);
  topics_free(&server->topics);
  for (size_t i = 0; i < CACHED; i++) {
    free(server->cached[i].what);
    text_free(&server->cached[i].text);
  }
  pthread_mutex_destroy(&server->lock);
  arena_free(&server->arena);
  free(server);
}

#endif
